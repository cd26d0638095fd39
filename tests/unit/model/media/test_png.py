"""PNG files of our own making: what decoders of other makes read is what was drawn, in less space
than Pillow's default takes for photos.
"""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.photo import photo_like
from model.media.png import AVERAGE, SIGNATURE, UP, encode_png


def noise(seed: int, height: int = 12, width: int = 20) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def chunks(data: bytes) -> dict[bytes, bytes]:
    """By kind, as the format's specification has them, each with its checksum checked."""
    assert data.startswith(SIGNATURE)
    found, place = {}, len(SIGNATURE)
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (check,) = struct.unpack_from(">I", data, place + 8 + length)
        assert check == zlib.crc32(kind + body)
        found[kind] = body
        place += 12 + length
    return found


def filters(pixels: Any) -> set[int]:
    rows = zlib.decompress(chunks(encode_png(pixels))[b"IDAT"])
    return set(rows[:: 1 + pixels.shape[1] * 3])


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_what_is_read_is_what_was_written(seed: int, height: int, width: int) -> None:
    pixels = noise(seed, height, width)
    picture = opened(encode_png(pixels))
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), pixels)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 254, 255])
def test_flat_pictures_and_hard_edges_come_back(value: int) -> None:
    """Differences wrap around at 256."""
    pixels = np.full((9, 7, 3), value, np.uint8)
    pixels[::2, ::2] = 255 - value
    assert np.array_equal(np.asarray(opened(encode_png(pixels))), pixels)


def test_part_of_a_larger_array_is_written_as_it_looks() -> None:
    """Its rows lie apart in memory."""
    pixels = noise(3, 16, 16)[::2, ::-1]
    assert np.array_equal(np.asarray(opened(encode_png(pixels))), pixels)


def test_each_row_gets_the_better_filter() -> None:
    columns = np.tile(noise(1, 1, 64), (8, 1, 1))
    ramp = np.add.outer(np.arange(8) * 10, np.arange(64) * 3).astype(np.uint8)
    assert filters(columns) == {UP, AVERAGE}  # there is nothing above the first row
    assert filters(np.stack([ramp] * 3, axis=2)[1:]) == {AVERAGE}


def test_a_photo_takes_less_space_than_pillows_default() -> None:
    pixels = photo_like(256, 256)
    by_pillow = io.BytesIO()
    Image.fromarray(pixels).save(by_pillow, "PNG")
    assert len(encode_png(pixels)) <= len(by_pillow.getvalue())


@pytest.mark.parametrize("text", ["seed: 7", "modèle: fox", "模型: fox"])
def test_text_is_read_whatever_its_letters(text: str) -> None:
    picture = opened(encode_png(noise(1), text))
    assert picture.text == {"parameters": text}  # type: ignore[attr-defined]


def test_the_same_pixels_become_the_same_bytes() -> None:
    assert encode_png(noise(1), "a") == encode_png(noise(1), "a")
