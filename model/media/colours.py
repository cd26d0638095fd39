"""Colours as models know them: sRGB, whatever profile a picture comes with."""

import io
from typing import Final

from PIL import Image, ImageCms

from ..errors import InvalidRequest

OPAQUE: Final = 255
# By the colours that a profile is for: how Pillow calls pixels of them.
MODES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_srgb(picture: Image.Image, field: str) -> Image.Image:
    """RGB, or RGBA where parts of ``picture`` are transparent; by its ICC profile, if it has one.

    Raises:
        InvalidRequest: the profile is broken, or for another kind of picture.
    """
    transparent = picture.has_transparency_data
    if picture.mode == "P":
        picture = picture.convert("RGBA" if transparent else "RGB")
    alpha = picture.convert("RGBA").getchannel("A") if transparent else None
    profile = picture.info.get("icc_profile")
    found = _transformed(picture, profile, field) if profile else picture.convert("RGB")
    if alpha is not None:
        found.putalpha(alpha)
    return found


def on(colour: str, picture: Image.Image) -> Image.Image:
    """``picture`` over a ground of one colour: what is transparent shows that."""
    if not picture.has_transparency_data:
        return picture
    ground = Image.new("RGBA", picture.size, colour)
    ground.alpha_composite(picture.convert("RGBA"))
    return ground.convert("RGB")


def _transformed(picture: Image.Image, profile: bytes, field: str) -> Image.Image:
    try:
        theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = theirs.profile.xcolor_space.strip()
        mode = MODES.get(space)
        pixels = None if mode is None else _in_mode(picture, mode)
        if mode is None or pixels is None:
            raise InvalidRequest(
                field,
                f"has a colour profile for {space} in a picture of mode {picture.mode}; save it as "
                "sRGB",
            )
        transform = ImageCms.buildTransform(
            theirs,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        found = ImageCms.applyTransform(pixels, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise InvalidRequest(
            field, "has a colour profile that cannot be read; save it as sRGB"
        ) from error
    assert found is not None  # it is not done in place
    return found


def _in_mode(picture: Image.Image, mode: str) -> Image.Image | None:
    """Pixels that a profile for ``mode`` is about; None where it cannot be about them. A shade of
    grey is a colour of every RGB profile: editors leave that of the coloured picture in place.
    """
    if (picture.mode == "CMYK") != (mode == "CMYK"):
        return None
    if mode == "L" and picture.mode not in ("1", "L", "LA"):
        return None
    return picture.convert(mode)
