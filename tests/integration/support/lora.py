"""A small LoRA for the embedded model, saved as training scripts save it."""

from pathlib import Path


def save_lora(folder: Path, seed: int = 0) -> Path:
    """The file. Its weights are random, and strong enough to be seen."""
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    from model.embedded import PIPELINE_FOLDER

    unet = UNet2DConditionModel.from_pretrained(PIPELINE_FOLDER / "unet")
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_v", "to_out.0"])
    unet.add_adapter(config)
    torch.manual_seed(seed)
    for name, weight in unet.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    name = f"lora-{seed}.safetensors"
    StableDiffusionPipeline.save_lora_weights(
        folder, unet_lora_layers=get_peft_model_state_dict(unet), weight_name=name
    )
    return folder / name
