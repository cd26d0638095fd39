"""W16: input pictures and videos of warmup requests, made in memory: nothing to find, nothing to
remove.
"""

import io
from functools import lru_cache
from typing import Any, Final

import numpy as np
from PIL import Image

from ..media.decode import decode_mask, decode_picture
from ..media.decode_video import Bounds, decode_video
from ..media.video import encode_video

NO_RESIZING: Final = (None, None)
WARMUP_FPS: Final = 16.0


@lru_cache(maxsize=4)
def picture(height: int, width: int) -> Any:
    """uint8 [height, width, 3], smooth in both directions: a flat picture would let some encoders
    divide by a deviation of zero. It went through PNG, since users' pictures come through the
    decoder, whose first picture is slower, too."""
    return decode_picture(_png(_colours(height, width)), "image", height * width, NO_RESIZING)


@lru_cache(maxsize=4)
def mask(height: int, width: int) -> Any:
    """uint8 [height, width], all of it to be drawn anew."""
    white = np.full((height, width), 255, np.uint8)
    return decode_mask(_png(white), "mask", height * width, NO_RESIZING)


@lru_cache(maxsize=4)
def video(frames: int, height: int, width: int) -> Any:
    """uint8 [frames, height, width, 3]: the same picture, moving. It went through MP4, as users'
    videos do."""
    first = _colours(height, width)
    moving = np.stack([np.roll(first, number, axis=1) for number in range(frames)])
    limits = Bounds(pixels=height * width, frames=frames, all_pixels=moving.size)
    return decode_video(encode_video(moving, WARMUP_FPS, ""), "video", limits).frames


def _colours(height: int, width: int) -> Any:
    down = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    across = np.linspace(0, 255, width, dtype=np.uint8)[None, :]
    return np.stack(np.broadcast_arrays(down, across, 255 - across), axis=2)


def _png(pixels: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return data.getvalue()
