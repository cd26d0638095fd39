"""The renderer draws what a plan says."""

import numpy as np
import pytest
import torch

from model.embedded.judge import nearest_background
from model.embedded.palette import BACKGROUND_NAMES, SIZES
from model.embedded.plan import Plan, plain_plan
from model.embedded.render import Renderer, turn_hue


def _plan(*, size: str = "", hue: float = -1.0, background: str = "blue") -> Plan:
    number = np.array([0])
    backgrounds = np.array([BACKGROUND_NAMES.index(background)])
    return plain_plan(number, styles=number, backgrounds=backgrounds, size=size, hue=hue)


@pytest.mark.parametrize("background", BACKGROUND_NAMES)
def test_the_corner_has_the_background_colour(renderer: Renderer, background: str) -> None:
    corner = renderer.draw(_plan(background=background))[0, :, 0, 0].double().numpy()
    assert BACKGROUND_NAMES[nearest_background(corner)] == background


@pytest.mark.parametrize("size", ["", "small"])
def test_an_object_is_as_wide_as_its_size(renderer: Renderer, size: str) -> None:
    picture = renderer.draw(_plan(size=size))[0]
    red = picture[0, 32] > 0.6
    assert red.sum().item() / 64 == pytest.approx(SIZES[size], abs=0.04)


def test_turning_the_hue_of_the_object_leaves_the_background(renderer: Renderer) -> None:
    picture = renderer.draw(_plan(hue=215.0, background="white"))[0]
    middle = picture[:, 32, 32]
    assert middle[2] > middle[0]
    assert torch.allclose(picture[:, 0, 0], torch.ones(3))


def test_pixels_of_another_hue_are_not_turned() -> None:
    green = torch.tensor([0.0, 1.0, 0.0])[None, :, None, None]
    turned = turn_hue(green, torch.tensor([0.0]), torch.tensor([215.0]))
    assert torch.allclose(turned, green, atol=1e-5)
