"""One loaded pipeline for all tests of the embedded model, and a renderer with made-up objects."""

from typing import Any

import pytest
import torch

from model.embedded import PIPELINE_FOLDER
from model.embedded.drawing import open_pipeline
from model.embedded.objects import DrawnObject
from model.embedded.palette import STYLES
from model.embedded.render import Renderer

SIDE = 40


@pytest.fixture(scope="session")
def pipeline() -> Any:
    return open_pipeline(PIPELINE_FOLDER)


@pytest.fixture
def objects() -> list[DrawnObject]:
    return [_thing(0, "ball", recolours=True), _thing(1, "box", recolours=False)]


def _thing(number: int, name: str, *, recolours: bool) -> DrawnObject:
    return DrawnObject(
        number=number,
        code=str(number),
        name=name,
        category="Things",
        aliases=("round thing",) if number == 0 else (),
        keywords=(),
        hues=dict.fromkeys(STYLES, 0.0),
        own_colour="red",
        recolours=recolours,
    )


@pytest.fixture
def renderer(objects: list[DrawnObject]) -> Renderer:
    """Two red squares that fill their source, the same in both styles."""
    square = torch.zeros(len(objects), 4, SIDE, SIDE, dtype=torch.uint8)
    square[:, 0] = square[:, 3] = 255
    return Renderer(objects, dict.fromkeys(STYLES, square), side=64)
