"""Draw prompts with the stock diffusers pipeline, each from its own seed."""

import json
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from .libraries import AutoPipelineForText2Image, Pipeline

DRAWN_AT_ONCE: Final = 8


def open_pipeline(folder: Path) -> Pipeline:
    """Load a pipeline folder in float32 for the CPU, without progress bars."""
    pipeline = AutoPipelineForText2Image.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generation_defaults(folder: Path) -> dict[str, Any]:
    defaults: dict[str, Any] = json.loads((folder / "generation_config.json").read_text())
    return defaults


def draw(
    pipeline: Pipeline, prompts: list[str], *, seed: int, **settings: Any
) -> list[Image.Image]:
    """Draw each prompt with the generator seed + position: a picture does not depend on the batch
    it is in.
    """
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), DRAWN_AT_ONCE):
        part = prompts[start : start + DRAWN_AT_ONCE]
        generators = [
            torch.Generator().manual_seed(seed + start + place) for place in range(len(part))
        ]
        pictures += pipeline(part, generator=generators, **settings).images
    return pictures
