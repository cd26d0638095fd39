"""Pictures from clients: upright, opaque, in bounds, or refused by the name of their input."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.errors import InvalidRequest
from model.media.decode import decode_mask, decode_picture
from model.media.opening import FORMATS
from tests.unit.model.media.pictures import saved

ORIENTATION = 0x0112
AS_IT_IS = (None, None)
LIMIT = 10_000
RED, BLUE, WHITE, GREEN = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 128, 0)


def corners() -> Image.Image:
    """4x2 pixels: red in the upper left corner, blue in the lower right, else white."""
    picture = Image.new("RGB", (4, 2), WHITE)
    picture.putpixel((0, 0), RED)
    picture.putpixel((3, 1), BLUE)
    return picture


def decoded(data: bytes, size: tuple[int | None, int | None] = AS_IT_IS) -> Any:
    return decode_picture(data, "image", LIMIT, size)


def refusal(data: bytes, size: tuple[int | None, int | None] = AS_IT_IS) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decoded(data, size)
    return caught.value


@pytest.mark.parametrize("kind", FORMATS)
def test_formats(kind: str) -> None:
    found = decoded(saved(Image.new("RGB", (8, 6), GREEN), kind))
    assert (found.dtype, found.shape) == (np.uint8, (6, 8, 3))
    assert np.abs(found.astype(int) - GREEN).max() <= 4


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_formats_are_refused(kind: str) -> None:
    """Fewer decoders, fewer holes."""
    error = refusal(saved(Image.new("RGB", (16, 16), GREEN), kind))
    assert str(error) == "image: is not a readable PNG, JPEG or WebP picture"


@pytest.mark.parametrize(
    ("orientation", "size", "red", "blue"),
    [
        (1, (4, 2), (0, 0), (3, 1)),
        (2, (4, 2), (3, 0), (0, 1)),
        (3, (4, 2), (3, 1), (0, 0)),
        (4, (4, 2), (0, 1), (3, 0)),
        (5, (2, 4), (0, 0), (1, 3)),
        (6, (2, 4), (1, 0), (0, 3)),
        (7, (2, 4), (1, 3), (0, 0)),
        (8, (2, 4), (0, 3), (1, 0)),
    ],
)
def test_pictures_are_turned_upright(
    orientation: int, size: tuple[int, int], red: tuple[int, int], blue: tuple[int, int]
) -> None:
    """All eight orientations of EXIF; places are (x, y)."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    found = decoded(saved(corners(), exif=exif))
    assert found.shape == (size[1], size[0], 3)
    assert tuple(found[red[1], red[0]]) == RED
    assert tuple(found[blue[1], blue[0]]) == BLUE


def test_transparent_parts_become_white() -> None:
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 0, 0, 0))
    assert decoded(saved(picture)).tolist() == [[list(RED), list(WHITE)]]


def test_half_transparent_parts_are_blended_with_white() -> None:
    found = decoded(saved(Image.new("RGBA", (1, 1), (0, 0, 0, 128))))
    assert found.tolist() == [[[127, 127, 127]]]


def test_a_transparent_palette_becomes_white() -> None:
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    assert decoded(saved(picture, transparency=0)).tolist() == [[list(WHITE), list(BLUE)]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    found = decoded(saved(Image.new(mode, (3, 2)), kind))
    assert (found.dtype, found.shape) == (np.uint8, (2, 3, 3))


@pytest.mark.parametrize(
    ("size", "shape"),
    [((8, None), (4, 8, 3)), ((None, 8), (8, 6, 3)), ((5, 7), (7, 5, 3)), ((6, 4), (4, 6, 3))],
)
def test_sizes(size: tuple[int | None, int | None], shape: tuple[int, ...]) -> None:
    assert decoded(saved(Image.new("RGB", (6, 4), GREEN)), size).shape == shape


def test_a_picture_beyond_the_limit_is_refused_unread() -> None:
    """The header is enough: what follows is not even decoded."""
    data = saved(Image.new("1", (1000, 1000)))
    broken = data[:60] + bytes(len(data) - 60)
    assert str(refusal(broken)) == "image: has 1000x1000 pixels; at most 10000 in all are taken"


def test_a_picture_is_not_blown_up_beyond_the_limit() -> None:
    small = saved(Image.new("RGB", (8, 8)))
    error = refusal(small, (101, 100))
    assert error.field == "width"
    assert "10100 pixels" in str(error)
    assert decoded(small, (100, 100)).shape == (100, 100, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        b"\xff\xd8\xff",
        saved(corners())[:50],
    ],
)
def test_broken_pictures_are_refused(data: bytes) -> None:
    assert refusal(data).field == "image"


@given(st.binary(max_size=200), st.sampled_from(FORMATS), st.integers(0, 60))
def test_damaged_pictures_are_read_or_refused(damage: bytes, kind: str, place: int) -> None:
    """Nothing but a refusal comes out of a decoder that is fed nonsense."""
    whole = saved(corners(), kind)
    data = whole[:place] + damage + whole[place + len(damage) :]
    try:
        assert decoded(data).shape[2] == 3
    except InvalidRequest as error:
        assert error.field == "image"  # noqa: PT017


def test_masks_are_grey_and_keep_their_edges() -> None:
    mask = Image.new("L", (2, 1), 0)
    mask.putpixel((1, 0), 255)
    found = decode_mask(saved(mask), "mask", LIMIT, (4, 2))
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 0, 255, 255]] * 2


def test_what_is_transparent_in_a_mask_is_kept_whatever_its_hidden_colour() -> None:
    mask = Image.new("LA", (3, 1), (255, 255))
    mask.putpixel((0, 0), (255, 0))
    mask.putpixel((1, 0), (255, 51))
    assert decode_mask(saved(mask), "mask", LIMIT, AS_IT_IS).tolist() == [[0, 51, 255]]


def test_masks_are_refused_by_their_name() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_mask(b"text", "mask", LIMIT, AS_IT_IS)
    assert caught.value.field == "mask"
