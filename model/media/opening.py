"""Open a picture that a client sent, so that nothing hostile costs more than reading it.

Every bound is checked against what the file says of itself, before a decoder reserves memory for
pixels. Pillow's own bound on decompression bombs is far above what a request may have.
"""

import io
import struct
from typing import Any, Final

import numpy as np
from PIL import ExifTags, Image

from ..errors import InvalidRequest
from .containers import check_container

FORMATS: Final = ("PNG", "JPEG", "WEBP")
UNREADABLE: Final = "is not a readable PNG, JPEG or WebP picture"
# What Pillow raises where a file is not what it says.
BROKEN: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
    Image.DecompressionBombError,
)
# A photo and further pictures of it (depth, the other eye): the first is the photo.
SEVERAL_VIEWS: Final = "MPO"
# By EXIF's number: what turns the picture upright.
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIXTEEN_BITS: Final = "I;16"


def open_picture(data: bytes, field: str, max_pixels: int) -> Image.Image:
    """The decoded picture, upright as its EXIF data says, of 8 bits a channel.

    Raises:
        InvalidRequest: not a PNG, JPEG or WebP; broken; animated; of more than ``max_pixels``.
    """
    if (claimed := check_container(data, field)) is not None:
        # Before Pillow opens it, which for a WebP reserves room for two of them.
        _check_pixels(claimed, field, max_pixels)
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_pixels(picture.size, field, max_pixels)
        _check_still(picture, field)
        picture.load()
    except BROKEN as error:
        raise InvalidRequest(field, UNREADABLE) from error
    return _upright(_of_eight_bits(picture), field)


def _check_pixels(size: tuple[int, int], field: str, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise InvalidRequest(
            field, f"has {width}x{height} pixels; at most {max_pixels} in all are taken"
        )


def _check_still(picture: Image.Image, field: str) -> None:
    frames = int(getattr(picture, "n_frames", 1))
    if frames > 1 and picture.format != SEVERAL_VIEWS:
        raise InvalidRequest(field, f"is animated, of {frames} frames; send one of them")


def _of_eight_bits(picture: Image.Image) -> Image.Image:
    """Pillow would cut sixteen bits off at 255 where it converts them."""
    if picture.mode != SIXTEEN_BITS:
        return picture
    values: Any = np.asarray(picture)
    found = Image.fromarray((values >> 8).astype(np.uint8))
    transparent = picture.info.get("transparency")
    if transparent is not None:
        found.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    found.info = {name: picture.info[name] for name in picture.info if name != "transparency"}
    return found


def _upright(picture: Image.Image, field: str) -> Image.Image:
    try:
        turn = UPRIGHT.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except BROKEN as error:
        raise InvalidRequest(
            field, "has EXIF data that cannot be read; save it without that"
        ) from error
    return picture if turn is None else picture.transpose(turn)
