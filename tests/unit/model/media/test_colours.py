"""Whatever profile a picture comes with, the model sees sRGB."""

import numpy as np
import pytest
from PIL import Image

from model.errors import InvalidRequest
from model.media.decode import decode_mask, decode_picture
from tests.unit.model.media.pictures import (
    linear_grey_profile,
    saved,
    srgb_profile,
    swapped_profile,
)

LIMIT = 10_000
AS_IT_IS = (None, None)
RED, BLUE = (255, 0, 0), (0, 0, 255)
PROFILES = {"PNG": {}, "JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}


def first_pixel(data: bytes) -> list[int]:
    found: list[int] = decode_picture(data, "image", LIMIT, AS_IT_IS)[0, 0].tolist()
    return found


@pytest.mark.parametrize("kind", PROFILES)
def test_colours_are_what_the_profile_says_they_are(kind: str) -> None:
    """A red by a profile whose red is blue."""
    picture = Image.new("RGB", (8, 8), RED)
    found = first_pixel(saved(picture, kind, icc_profile=swapped_profile(), **PROFILES[kind]))
    assert np.abs(np.subtract(found, BLUE)).max() <= 3


def test_srgb_stays_as_it_is() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    data = saved(Image.fromarray(pixels), icc_profile=srgb_profile())
    found = decode_picture(data, "image", LIMIT, AS_IT_IS)
    assert np.abs(found.astype(int) - pixels).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_what_is_transparent_is_so_in_every_colour(mode: str) -> None:
    picture = Image.new("RGBA", (2, 1), (*RED, 255))
    picture.putpixel((1, 0), (*RED, 0))
    data = saved(picture.convert(mode), icc_profile=swapped_profile())
    found = decode_picture(data, "image", LIMIT, AS_IT_IS)
    assert found.tolist() == [[list(BLUE), [255, 255, 255]]]


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_by_a_profile_of_grey(mode: str) -> None:
    """A fifth of the light is nearly half of sRGB's values."""
    found = first_pixel(
        saved(Image.new("L", (2, 1), 55).convert(mode), icc_profile=linear_grey_profile())
    )
    assert np.abs(np.subtract(found, 128)).max() <= 3


def test_grey_by_a_profile_of_colours_that_an_editor_left_in_it() -> None:
    found = first_pixel(saved(Image.new("L", (2, 1), 99), icc_profile=srgb_profile()))
    assert np.abs(np.subtract(found, 99)).max() <= 1


@pytest.mark.parametrize(
    ("picture", "kind", "profile", "words"),
    [
        (
            Image.new("RGB", (2, 2)),
            "PNG",
            b"no profile",
            "has a colour profile that cannot be read",
        ),
        (Image.new("RGB", (2, 2)), "JPEG", srgb_profile()[:200], "that cannot be read"),
        (
            Image.new("RGB", (2, 2)),
            "PNG",
            linear_grey_profile(),
            "for GRAY in a picture of mode RGB",
        ),
        (Image.new("CMYK", (2, 2)), "JPEG", srgb_profile(), "for RGB in a picture of mode CMYK"),
    ],
    ids=["nonsense", "cut off", "of grey", "of colours"],
)
def test_a_profile_that_cannot_be_meant_is_refused(
    picture: Image.Image, kind: str, profile: bytes, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        decode_picture(saved(picture, kind, icc_profile=profile), "image", LIMIT, AS_IT_IS)
    assert caught.value.field == "image"
    assert "save it as sRGB" in str(caught.value)


def test_the_values_of_a_mask_are_no_colours() -> None:
    mask = saved(Image.new("L", (2, 1), 55), icc_profile=linear_grey_profile())
    assert decode_mask(mask, "mask", LIMIT, AS_IT_IS).tolist() == [[55, 55]]
