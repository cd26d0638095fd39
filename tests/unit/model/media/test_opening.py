"""Hostile files: refused by what they say of themselves, before anything costs memory or time."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.errors import InvalidRequest
from model.media.containers import MOST_CHUNKS, MOST_SCANS, MOST_SEGMENTS
from model.media.decode import decode_mask, decode_picture
from model.media.opening import UNREADABLE, open_picture
from tests.unit.model.media.pictures import grey16, saved, srgb_profile

LIMIT = 10_000
AS_IT_IS = (None, None)
ORIENTATION, DESCRIPTION = 0x0112, 0x010E
LARGE = 12_000


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidRequest) as caught:
        open_picture(data, "image", LIMIT)
    assert caught.value.field == "image"
    return caught.value.problem


def still() -> Image.Image:
    return Image.effect_noise((16, 12), 60).convert("RGB")


# -- bombs ------------------------------------------------------------------------------------


def large_png() -> bytes:
    data = bytearray(saved(still()))
    data[16:24] = struct.pack(">2I", LARGE, LARGE)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def large_jpeg() -> bytes:
    data = bytearray(saved(still(), "JPEG", progressive=True))
    place = data.index(b"\xff\xc2") + 5
    data[place : place + 4] = struct.pack(">2H", LARGE, LARGE)
    return bytes(data)


def large_webp() -> bytes:
    """Lossy: the size stands in the first frame."""
    data = bytearray(saved(still(), "WEBP"))
    data[26:30] = struct.pack("<2H", LARGE, LARGE)
    return bytes(data)


def large_lossless_webp() -> bytes:
    data = bytearray(saved(still(), "WEBP", lossless=True))
    data[21:25] = ((LARGE - 1) | (LARGE - 1) << 14).to_bytes(4, "little")
    return bytes(data)


def large_canvas() -> bytes:
    """A WebP of small frames on a canvas that has room for many."""
    data = bytearray(saved(still(), "WEBP", save_all=True, append_images=[still().rotate(90)]))
    data[24:30] = (LARGE - 1).to_bytes(3, "little") * 2
    return bytes(data)


@pytest.mark.parametrize(
    "bomb", [large_png, large_jpeg, large_webp, large_lossless_webp, large_canvas]
)
def test_a_bomb_is_refused_before_a_decoder_sees_it(
    bomb: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bomb()

    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("a decoder was asked")

    monkeypatch.setattr(Image, "open", opened)
    assert refusal(data) == f"has {LARGE}x{LARGE} pixels; at most {LIMIT} in all are taken"


def test_of_a_jpeg_with_two_sizes_the_last_counts_as_it_does_for_decoders() -> None:
    data = large_jpeg()
    place = data.index(b"\xff\xc2")
    (length,) = struct.unpack_from(">H", data, place + 2)
    small = bytearray(data[place : place + 2 + length])
    small[5:9] = struct.pack(">2H", 8, 8)
    assert "12000x12000" in refusal(data[:place] + small + data[place:])


def test_a_size_that_only_a_decoder_finds_counts_as_well() -> None:
    """A PNG that begins with a chunk of nobody's."""
    data = large_png()
    chunk = struct.pack(">I4sI", 0, b"priv", zlib.crc32(b"priv"))
    assert "12000x12000" in refusal(data[:8] + chunk + data[8:])


def with_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = saved(still(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * (count - data.count(b"\xff\xda")) + data[-2:]


def test_a_jpeg_of_many_scans_is_refused() -> None:
    assert refusal(with_scans(MOST_SCANS + 1)) == "is a JPEG of more than 100 scans; save it anew"
    assert open_picture(with_scans(MOST_SCANS), "image", LIMIT).size == (16, 12)


def test_what_looks_like_scans_inside_a_segment_does_not_count() -> None:
    """Colour profiles and thumbnails hold any bytes."""
    data = saved(still(), "JPEG")
    comment = b"\xff\xda" * (MOST_SCANS + 1)
    segment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
    assert open_picture(data[:2] + segment + data[2:], "image", LIMIT).size == (16, 12)


def test_a_jpeg_of_many_segments_is_refused() -> None:
    data = saved(still(), "JPEG")
    many = data[:2] + b"\xff\xe5\0\2" * (MOST_SEGMENTS + 1) + data[2:]
    assert refusal(many) == "is a JPEG of more than 4000 segments; save it anew"


def test_a_png_of_many_chunks_is_refused() -> None:
    data = saved(still())
    chunk = struct.pack(">I4sI", 0, b"priv", zlib.crc32(b"priv"))
    many = data[:33] + chunk * (MOST_CHUNKS + 1) + data[33:]
    assert refusal(many) == "is a PNG of more than 50000 chunks; save it anew"


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_text_that_unpacks_to_megabytes_is_refused(kind: bytes) -> None:
    data = saved(still())
    body = b"a\0\0" + zlib.compress(bytes(32 * 1024 * 1024))
    chunk = struct.pack(">I", len(body)) + kind + body
    chunk += struct.pack(">I", zlib.crc32(kind + body))
    assert refusal(data[:33] + chunk + data[33:]) == UNREADABLE


# -- several pictures in one -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind: str) -> None:
    data = saved(still(), kind, save_all=True, append_images=[still().rotate(180)])
    assert refusal(data) == "is animated, of 2 frames; send one of them"


def test_of_a_photo_with_further_views_the_photo_is_taken() -> None:
    photo, view = Image.new("RGB", (16, 12), "red"), Image.new("RGB", (16, 12), "blue")
    data = saved(photo, "MPO", save_all=True, append_images=[view])
    found = decode_picture(data, "image", LIMIT, AS_IT_IS)
    assert found[0, 0, 0] > 200 > 50 > found[0, 0, 2]


# -- sixteen bits ------------------------------------------------------------------------------


def test_sixteen_bits_keep_their_shades() -> None:
    data = saved(grey16(0, 256, 0x8000, 0xFFFF))
    for decode in (decode_picture, decode_mask):
        found = decode(data, "image", LIMIT, AS_IT_IS)
        assert found.reshape(4, -1)[:, 0].tolist() == [0, 1, 0x80, 0xFF]


def test_sixteen_bits_with_a_transparent_shade() -> None:
    data = saved(grey16(0x1234, 0x1200), transparency=0x1234)
    found = decode_picture(data, "image", LIMIT, AS_IT_IS)
    assert found[0, :, 0].tolist() == [255, 0x12]


# -- EXIF --------------------------------------------------------------------------------------


def test_sixteen_bits_are_turned_upright() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    found = decode_picture(saved(grey16(0, 0x8000), exif=exif), "image", LIMIT, AS_IT_IS)
    assert found[:, :, 0].tolist() == [[0], [0x80]]


def test_exif_that_cannot_be_read_is_refused() -> None:
    data = saved(still(), "WEBP", exif=b"Exif\0\0no such thing")
    assert refusal(data) == "has EXIF data that cannot be read; save it without that"


# -- nonsense ----------------------------------------------------------------------------------


def whole() -> list[bytes]:
    exif = Image.Exif()
    exif[ORIENTATION], exif[DESCRIPTION] = 6, "a fox"
    extras: dict[str, Any] = {"exif": exif, "icc_profile": srgb_profile()}
    return [
        saved(still(), "PNG", **extras),
        saved(still(), "JPEG", progressive=True, **extras),
        saved(still(), "WEBP", **extras),
        saved(still(), "MPO", save_all=True, append_images=[still()]),
        saved(still().convert("P"), "PNG", transparency=3),
    ]


WHOLE = whole()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(
    st.sampled_from(WHOLE), st.floats(0, 1, exclude_max=True), st.binary(max_size=30), st.booleans()
)
def test_damage_anywhere_is_read_or_refused(
    data: bytes, where: float, damage: bytes, inserted: bool
) -> None:
    """Nothing but a refusal comes out of decoders, profiles and EXIF that are fed nonsense."""
    place = int(where * len(data))
    rest = data[place:] if inserted else data[place + len(damage) :]
    broken = data[:place] + damage + rest
    try:
        found = decode_picture(broken, "image", LIMIT, AS_IT_IS)
    except InvalidRequest as error:
        assert error.field == "image"  # noqa: PT017
    else:
        assert (found.dtype, found.shape[2]) == (np.uint8, 3)
