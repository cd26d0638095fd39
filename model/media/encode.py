"""Encode pictures and videos off the event loop. Pillow and FFmpeg release the interpreter's lock
while they compress.

PNG carries a ``parameters`` text chunk with model, revision, seed and steps, the way image tools
of the field read them.
"""

import asyncio
import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .video import CONTENT_TYPE, comment, encode_video

# PNG: level 1 is four times as fast as 6 for some percent of size. JPEG, WebP: visually lossless.
SAVE_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "png": {"compress_level": 1},
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"quality": 90, "method": 2},
}
LOSSY: Final = ("jpeg", "webp")
VIDEO: Final = "mp4"
CONTENT_TYPES: Final = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    VIDEO: CONTENT_TYPE,
}


def encode(
    pixels: Any,
    output_format: str,
    description: Mapping[str, object],
    quality: int | None = None,
) -> bytes:
    """``pixels``: uint8 [height, width, 3]. ``output_format``: png, jpeg or webp. ``quality``: 0 to
    100, of those that lose something."""
    options = dict(SAVE_OPTIONS[output_format])
    if quality is not None and output_format in LOSSY:
        options["quality"] = quality
    if output_format == "png":
        info = PngInfo()
        info.add_text("parameters", comment(description))
        options["pnginfo"] = info
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
