"""Encoded pictures: lossless where it is promised, labelled, in order."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.media.encode import CONTENT_TYPES, LOSSY, PNG, EncodePool, encode

PICTURES = (PNG, *LOSSY)
IMAGE_DESCRIPTION = 270


def noise(seed: int, height: int = 12, width: int = 20) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth() -> Any:
    ramp = np.linspace(0, 255, 32, dtype=np.uint8)
    return np.stack([np.tile(ramp, (32, 1))] * 3, axis=2)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("output_format", PICTURES)
def test_formats(output_format: str) -> None:
    picture = opened(encode(smooth(), output_format, {"seed": 1}))
    assert picture.get_format_mimetype() == CONTENT_TYPES[output_format]
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    assert np.abs(np.asarray(picture).astype(int) - smooth()).mean() < 2


@pytest.mark.parametrize("output_format", LOSSY)
def test_files_say_how_they_were_made(output_format: str) -> None:
    picture = opened(encode(smooth(), output_format, {"model": "m", "seed": 7, "size": "20x12"}))
    assert picture.getexif() == {IMAGE_DESCRIPTION: "model: m, seed: 7, size: 20x12"}


def test_png_says_how_it_was_made() -> None:
    picture = opened(encode(noise(1), PNG, {"model": "m", "seed": 7, "size": "20x12"}))
    assert picture.text == {"parameters": "model: m, seed: 7, size: 20x12"}


@pytest.mark.parametrize("output_format", PICTURES)
def test_without_a_description_nothing_is_said(output_format: str) -> None:
    picture = opened(encode(noise(1), output_format, {}))
    assert not picture.getexif()
    assert not getattr(picture, "text", {})


@pytest.mark.parametrize("output_format", LOSSY)
def test_a_lower_quality_makes_a_smaller_file(output_format: str) -> None:
    small, large = (encode(noise(1), output_format, {}, quality) for quality in (10, 90))
    assert len(small) < len(large)


@pytest.mark.parametrize("output_format", PICTURES)
def test_the_same_pixels_become_the_same_bytes(output_format: str) -> None:
    assert encode(noise(1), output_format, {}) == encode(noise(1), output_format, {})


async def test_the_pool_keeps_the_order() -> None:
    """The first picture is the largest, so that it is not done first."""
    pixels = [noise(0, 512, 512), noise(1), noise(2)]
    pool = EncodePool(3)
    try:
        found = await pool.encode_all(pixels, "png", [{"seed": n} for n in range(3)])
    finally:
        pool.close()
    assert found == [encode(each, "png", {"seed": n}) for n, each in enumerate(pixels)]
