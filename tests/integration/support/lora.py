"""A small LoRA, of the embedded model or of another, saved as training scripts save it."""

from pathlib import Path

from model.embedded import PIPELINE_FOLDER


def save_lora(folder: Path, seed: int = 0, unet: Path = PIPELINE_FOLDER / "unet") -> Path:
    """The file. Its weights are random, and strong enough to be seen. ``unet``: the folder of the
    denoiser that it is for."""
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    denoiser = UNet2DConditionModel.from_pretrained(unet)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_v", "to_out.0"])
    denoiser.add_adapter(config)
    torch.manual_seed(seed)
    for name, weight in denoiser.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    name = f"lora-{seed}.safetensors"
    StableDiffusionPipeline.save_lora_weights(
        folder, unet_lora_layers=get_peft_model_state_dict(denoiser), weight_name=name
    )
    return folder / name
