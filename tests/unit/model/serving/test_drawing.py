"""From pixels to files that say how they were made, or do not."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.contract.generation import Generation, GenerationRequest, Sampling, Timings
from model.contract.sampling import Task
from model.contract.watching import Watch
from model.serving.context import Serving
from model.serving.drawing import draw
from model.settings import Settings

FOX = GenerationRequest(
    id="a",
    task=Task.TEXT_TO_IMAGE,
    prompts=("a secret fox",),
    sampling=Sampling(width=32, height=16, num_inference_steps=4),
    seeds=(7, 8),
    num_images_per_prompt=2,
)


@pytest.fixture
def drawing(serving: Serving) -> Serving:
    """A server whose model draws black."""

    async def generate(request: GenerationRequest, watch: Watch | None) -> Generation:
        pixels = np.zeros(request.pixel_shape, np.uint8)
        return Generation(request.id, pixels, request.seeds, request.shape, 4, Timings())

    role: Any = SimpleNamespace(generate=generate, description=SimpleNamespace(revision="abc"))
    return replace(serving, role=role)


def texts(files: list[bytes] | None) -> list[dict[str, str]]:
    return [Image.open(io.BytesIO(each)).text for each in files or []]  # type: ignore[attr-defined]


async def test_each_file_says_how_it_was_made_and_none_says_the_prompt(drawing: Serving) -> None:
    drawn = await draw(drawing, FOX, "png")
    assert texts(drawn.files) == [
        {"parameters": f"model: embedded, revision: abc, seed: {seed}, steps: 4, size: 32x16"}
        for seed in FOX.seeds
    ]


async def test_told_so_no_file_says_anything(drawing: Serving) -> None:
    silent = replace(drawing, settings=Settings(file_metadata=False))
    drawn = await draw(silent, FOX, "png")
    assert texts(drawn.files) == [{}, {}]
