"""SDXL and FLUX.1 at full size with random weights, as diffusers folders: what costs time on a GPU
does not depend on what the weights say, and nothing is downloaded.

``python -m benchmarks.full_size sdxl FOLDER`` needs about 7 GB of disk, ``flux`` 34 GB, and a GPU
with room for the model. The configurations are those of stabilityai/stable-diffusion-xl-base-1.0
and black-forest-labs/FLUX.1-dev. Only the tokenizers are others: small ones that know no language.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from model.embedded import PIPELINE_FOLDER

GIB: Final = 1024**3
CLIP_TOKENS: Final = 77
T5_VOCABULARY: Final = 32128


def main(arguments: Sequence[str] | None = None) -> int:
    """Build one folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.full_size", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    if (given.folder / "model_index.json").exists():
        print(f"{given.folder} is there already")
        return 0
    started = time.perf_counter()
    save(given.model, given.folder)
    size = sum(each.stat().st_size for each in given.folder.rglob("*") if each.is_file())
    seconds = time.perf_counter() - started
    print(f"{given.folder}: {size / GIB:.1f} GiB in {seconds:.0f} s")
    print(
        f"next: python -m benchmarks --scenario P1 P3 --model {given.folder} "
        "--sizes 1024x1024 768x1344 --undeclared 896x1152 --compile off regional full"
    )
    return 0


def save(model: str, folder: Path) -> None:
    """Random weights, bfloat16, the same for each run."""
    import torch

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        pipeline = MODELS[model]()
    pipeline.save_pretrained(folder, safe_serialization=True)


def _sdxl() -> Any:
    diffusers = _library("diffusers")
    return diffusers.StableDiffusionXLPipeline(
        text_encoder=_clip_l(),
        text_encoder_2=_clip_g(),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        unet=diffusers.UNet2DConditionModel(
            sample_size=128,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(320, 640, 1280),
            transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(5, 10, 20),
            cross_attention_dim=2048,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        ),
        vae=diffusers.AutoencoderKL(**_vae(latent_channels=4, scaling_factor=0.13025)),
        scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
    )


def _flux() -> Any:
    diffusers, transformers = _library("diffusers"), _library("transformers")
    return diffusers.FluxPipeline(
        text_encoder=_clip_l(),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=transformers.T5EncoderModel(
            transformers.T5Config(
                vocab_size=T5_VOCABULARY,
                d_model=4096,
                d_kv=64,
                d_ff=10240,
                num_layers=24,
                num_heads=64,
                feed_forward_proj="gated-gelu",
            )
        ),
        tokenizer_2=_t5_tokenizer(),
        transformer=diffusers.FluxTransformer2DModel(guidance_embeds=True),
        vae=diffusers.AutoencoderKL(
            **_vae(latent_channels=16, scaling_factor=0.3611),
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    )


def _vae(latent_channels: int, scaling_factor: float) -> dict[str, Any]:
    return {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "latent_channels": latent_channels,
        "sample_size": 1024,
        "scaling_factor": scaling_factor,
        "force_upcast": False,
    }


def _clip_l() -> Any:
    return _library("transformers").CLIPTextModel(_clip(768, 3072, layers=12, heads=12))


def _clip_g() -> Any:
    return _library("transformers").CLIPTextModelWithProjection(
        _clip(1280, 5120, layers=32, heads=20)
    )


def _clip(width: int, inner: int, layers: int, heads: int) -> Any:
    tokenizer = _clip_tokenizer()
    return _library("transformers").CLIPTextConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _clip_tokenizer() -> Any:
    return _library("transformers").CLIPTokenizer.from_pretrained(
        PIPELINE_FOLDER / "tokenizer", model_max_length=CLIP_TOKENS
    )


def _t5_tokenizer() -> Any:
    """Letters, and the marks that the encoder's family has."""
    letters = [(chr(code), -2.0) for code in range(ord("!"), ord("~") + 1)]
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return _library("transformers").T5TokenizerFast(
        vocab=[*marks, *letters], model_max_length=512, extra_ids=0
    )


def _library(name: str) -> Any:
    """Imported by need, and without its types: they know few of these classes."""
    return importlib.import_module(name)


MODELS: Final[dict[str, Callable[[], Any]]] = {"sdxl": _sdxl, "flux": _flux}

if __name__ == "__main__":
    sys.exit(main())
