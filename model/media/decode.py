"""Decode the pictures that clients send, within bounds: of format, of pixels, of frames."""

import io
import warnings
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps

from ..errors import InvalidRequest

FORMATS: Final = ("PNG", "JPEG", "WEBP")


def decode_picture(
    data: bytes, field: str, max_pixels: int, size: tuple[int | None, int | None]
) -> Any:
    """An RGB picture as uint8 [height, width, 3], turned upright as its EXIF data says, and resized
    to ``size`` (width, height) where that is given. Transparent parts become white.

    Raises:
        InvalidRequest: not a PNG, JPEG or WebP, broken, or larger than ``max_pixels`` as it comes
            or as ``size`` would make it.
    """
    picture = ImageOps.exif_transpose(_opened(data, field, max_pixels))
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        picture = Image.new("RGBA", rgba.size, "white")
        picture.alpha_composite(rgba)
    return np.asarray(_resized(picture.convert("RGB"), size, Image.Resampling.LANCZOS, max_pixels))


def decode_mask(
    data: bytes, field: str, max_pixels: int, size: tuple[int | None, int | None]
) -> Any:
    """A mask as uint8 [height, width]: white is drawn anew, black is kept.

    Raises:
        InvalidRequest: as ``decode_picture``.
    """
    picture = ImageOps.exif_transpose(_opened(data, field, max_pixels)).convert("L")
    return np.asarray(_resized(picture, size, Image.Resampling.NEAREST, max_pixels))


def decode_hole(
    data: bytes, field: str, max_pixels: int, size: tuple[int | None, int | None]
) -> Any:
    """A mask as uint8 [height, width], of a picture whose transparent parts are to be drawn anew.

    Raises:
        InvalidRequest: as ``decode_picture``; nothing in it is transparent.
    """
    picture = ImageOps.exif_transpose(_opened(data, field, max_pixels))
    hole = ImageOps.invert(picture.convert("RGBA").getchannel("A"))
    if hole.getextrema() == (0, 0):
        raise InvalidRequest(
            field, "has no transparent part: what is transparent in it is drawn anew"
        )
    return np.asarray(_resized(hole, size, Image.Resampling.NEAREST, max_pixels))


def _opened(data: bytes, field: str, max_pixels: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns of decompression bombs; our own bound below is the smaller one.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = picture.size
            if width * height > max_pixels:
                raise InvalidRequest(
                    field, f"has {width}x{height} pixels; at most {max_pixels} in all are taken"
                )
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidRequest(field, "is not a readable PNG, JPEG or WebP picture") from error
    return picture


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
