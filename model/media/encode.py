"""Encode pictures and videos off the event loop. What compresses them releases the interpreter's
lock meanwhile. The same pixels become the same bytes.

A file says how it was made (model, revision, seed, steps), where image tools of the field look for
it: PNG in a text chunk named ``parameters``, the others in EXIF's description.
"""

import asyncio
import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from PIL import ExifTags, Image

from .png import encode_png
from .video import CONTENT_TYPE, comment, encode_video

# Of Pillow's encoders. JPEG, WebP, AVIF: visually lossless. At its default speed, AVIF takes
# seconds for a million pixels.
SAVE_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"quality": 90, "method": 2},
    "avif": {"quality": 80, "subsampling": "4:4:4", "speed": 9, "max_threads": 1},
}
LOSSY: Final = (*SAVE_OPTIONS,)
PNG: Final = "png"
VIDEO: Final = "mp4"
CONTENT_TYPES: Final = {
    PNG: "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    VIDEO: CONTENT_TYPE,
}


def encode(
    pixels: Any,
    output_format: str,
    description: Mapping[str, object],
    quality: int | None = None,
) -> bytes:
    """``pixels``: uint8 [height, width, 3]. ``output_format``: png, jpeg, webp or avif. What the
    file says of itself is ``description``, or nothing where that is empty. ``quality``: 0 to 100,
    of those that lose something."""
    text = comment(description)
    if output_format == PNG:
        return encode_png(pixels, text)
    options = dict(SAVE_OPTIONS[output_format])
    if quality is not None:
        options["quality"] = quality
    if text:
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = text
        options["exif"] = exif
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, output_format.upper(), **options)
    return buffer.getvalue()


class EncodePool:
    """Threads that encode."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="encode")

    async def encode_all(
        self,
        pixels: Any,
        output_format: str,
        descriptions: list[dict[str, object]],
        fps: float = 0.0,
        quality: int | None = None,
    ) -> list[bytes]:
        """One encoded file for each of ``pixels`` [n, height, width, 3], in order; of videos
        [n, frames, height, width, 3] at ``fps`` frames a second, where the format is mp4."""
        loop = asyncio.get_running_loop()

        def encoded(drawn: Any, description: dict[str, object]) -> bytes:
            if output_format == VIDEO:
                return encode_video(drawn, fps, comment(description))
            return encode(drawn, output_format, description, quality)

        jobs = [
            loop.run_in_executor(self._threads, encoded, drawn, description)
            for drawn, description in zip(pixels, descriptions, strict=True)
        ]
        return list(await asyncio.gather(*jobs))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
