"""Decode the pictures that clients send: upright, opaque, in sRGB, of the size that is drawn."""

from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ..errors import InvalidRequest
from .colours import on, to_srgb
from .opening import open_picture


def decode_picture(
    data: bytes, field: str, max_pixels: int, size: tuple[int | None, int | None]
) -> Any:
    """An sRGB picture as uint8 [height, width, 3], upright as its EXIF data says, and resized to
    ``size`` (width, height) where that is given. Transparent parts become white.

    Raises:
        InvalidRequest: not a PNG, JPEG or WebP, broken, animated, of a colour profile that cannot
            be read, or larger than ``max_pixels`` as it comes or as ``size`` would make it.
    """
    picture = on("white", to_srgb(open_picture(data, field, max_pixels), field))
    return np.asarray(_resized(picture, size, Image.Resampling.LANCZOS, max_pixels))


def decode_mask(
    data: bytes, field: str, max_pixels: int, size: tuple[int | None, int | None]
) -> Any:
    """A mask as uint8 [height, width]: white is drawn anew; what is black or transparent is kept.
    Its values are no colours, so a colour profile changes nothing.

    Raises:
        InvalidRequest: as ``decode_picture``.
    """
    picture = on("black", open_picture(data, field, max_pixels)).convert("L")
    return np.asarray(_resized(picture, size, Image.Resampling.NEAREST, max_pixels))


def decode_hole(
    data: bytes, field: str, max_pixels: int, size: tuple[int | None, int | None]
) -> Any:
    """A mask as uint8 [height, width], of a picture whose transparent parts are to be drawn anew.

    Raises:
        InvalidRequest: as ``decode_picture``; nothing in it is transparent.
    """
    picture = open_picture(data, field, max_pixels)
    hole = ImageOps.invert(picture.convert("RGBA").getchannel("A"))
    if hole.getextrema() == (0, 0):
        raise InvalidRequest(
            field, "has no transparent part: what is transparent in it is drawn anew"
        )
    return np.asarray(_resized(hole, size, Image.Resampling.NEAREST, max_pixels))


def _resized(
    picture: Image.Image,
    size: tuple[int | None, int | None],
    method: Image.Resampling,
    max_pixels: int,
) -> Image.Image:
    wanted = (size[0] or picture.width, size[1] or picture.height)
    if wanted[0] * wanted[1] > max_pixels:
        raise InvalidRequest(
            "width", f"times height is {wanted[0] * wanted[1]} pixels; at most {max_pixels} are "
            "drawn"
        )  # fmt: skip
    return picture if wanted == picture.size else picture.resize(wanted, method)
