"""W16: input pictures of warmup requests, made in memory: nothing to find, nothing to remove."""

import io
from functools import lru_cache
from typing import Any, Final

import numpy as np
from PIL import Image

from ..media.decode import decode_mask, decode_picture

NO_RESIZING: Final = (None, None)


@lru_cache(maxsize=4)
def picture(height: int, width: int) -> Any:
    """uint8 [height, width, 3], smooth in both directions: a flat picture would let some encoders
    divide by a deviation of zero. It went through PNG, since users' pictures come through the
    decoder, whose first picture is slower, too."""
    down = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    across = np.linspace(0, 255, width, dtype=np.uint8)[None, :]
    colours = np.broadcast_arrays(down, across, 255 - across)
    return decode_picture(_png(np.stack(colours, axis=2)), "image", height * width, NO_RESIZING)


@lru_cache(maxsize=4)
def mask(height: int, width: int) -> Any:
    """uint8 [height, width], all of it to be drawn anew."""
    white = np.full((height, width), 255, np.uint8)
    return decode_mask(_png(white), "mask", height * width, NO_RESIZING)


def _png(pixels: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return data.getvalue()
