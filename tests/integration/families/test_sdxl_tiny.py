"""W53: SDXL end to end, by a tiny pipeline of the real classes with random weights: any diffusers
folder is served, warm at the size that its components imply.
"""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image

from model.embedded import PIPELINE_FOLDER
from tests.integration.support.server import ServerProcess

LATENT: Final = 48
# The VAE halves the size once.
SIDE: Final = 2 * LATENT
STEPS: Final = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved as ``save_pretrained`` does it. The tokenizer is the embedded model's, twice."""
    saved = tmp_path_factory.mktemp("families") / "tiny-sdxl"
    make_pipeline().save_pretrained(saved)
    return saved


def make_pipeline() -> Any:
    import torch
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
    )

    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(PIPELINE_FOLDER / "tokenizer")
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_position_embeddings=tokenizer.model_max_length,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        projection_dim=32,
    )
    return StableDiffusionXLPipeline(
        text_encoder=CLIPTextModel(text),
        text_encoder_2=CLIPTextModelWithProjection(text),
        tokenizer=tokenizer,
        tokenizer_2=CLIPTokenizer.from_pretrained(PIPELINE_FOLDER / "tokenizer"),
        unet=UNet2DConditionModel(
            sample_size=LATENT,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            transformer_layers_per_block=(1, 2),
            norm_num_groups=8,
            cross_attention_dim=64,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 32,
        ),
        vae=AutoencoderKL(
            sample_size=SIDE,
            block_out_channels=(16, 32),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
        ),
        scheduler=EulerDiscreteScheduler(),
    )


@pytest.mark.parametrize("scheme", ["", "file://"], ids=["path", "file"])
def test_w53_sdxl(start_server: Callable[..., ServerProcess], folder: Path, scheme: str) -> None:
    server = start_server("--model", f"{scheme}{folder}").wait_ready()
    found = server.metadata()
    assert found["name"] == "tiny-sdxl"
    assert found["pipeline"]["class"] == "StableDiffusionXLPipeline"
    assert found["pipeline"]["family"] == "stable-diffusion-xl"
    assert found["pipeline"]["tasks"] == ["text-to-image", "image-to-image", "inpainting"]

    defaults = found["defaults"]
    assert (defaults["width"], defaults["height"]) == (SIDE, SIDE), "W11: the native size, in full"
    assert defaults["sources"]["width"] == "model components"
    assert defaults["guidance_scale"] == 5.0
    assert defaults["sources"]["guidance_scale"] == "family stable-diffusion-xl"

    (shape,) = found["warmup"]["shapes"]
    assert (shape["width"], shape["height"], shape["cfg"]) == (SIDE, SIDE, True)
    assert shape["proven"]

    answer = server.client.post(
        "/v2/models/tiny-sdxl/infer",
        json={
            "inputs": [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["a fox"]}],
            "parameters": {"num_inference_steps": STEPS},
        },
    )
    assert answer.status_code == 200, answer.text[:300]
    assert answer.json()["parameters"]["cold_shape"] is False
    drawn = base64.b64decode(answer.json()["outputs"][0]["data"][0])
    picture = Image.open(io.BytesIO(drawn))
    assert picture.size == (SIDE, SIDE)
    assert server.terminate() == 0
