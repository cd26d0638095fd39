"""Decode the videos that clients send, within bounds: of format, of pixels, of frames. A file of a
megabyte may hold gigabytes of pixels, so every frame is counted before the next is decoded.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Never

import numpy as np
from PIL import Image

from ..errors import InvalidRequest

CODECS: Final = ("h264", "hevc", "av1", "vp9", "mpeg4")
QUARTER: Final = 90


@dataclass(frozen=True, slots=True)
class Bounds:
    """``pixels`` of a frame, ``frames`` of a video, and ``all_pixels`` of all its frames."""

    pixels: int
    frames: int
    all_pixels: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What the request says. ``size``: (width, height) that the frames are resized to, where it is
    given. ``frames``: only the first ones are taken.
    """

    size: tuple[int | None, int | None] = (None, None)
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class Video:
    """``frames``: uint8 [frames, height, width, 3], RGB. ``fps``: None where nothing says it."""

    frames: Any
    fps: float | None


def decode_video(data: bytes, field: str, bounds: Bounds, wish: Wish = Wish()) -> Video:
    """The frames of an MP4 file, turned upright as it says.

    Raises:
        InvalidRequest: not an MP4 file, broken, of a codec that is not known here, or out of
            ``bounds``.
    """
    import av  # by need: a server of pictures starts without it

    try:
        # Of this format alone, and of this file alone: others (playlists) name further files.
        # Titles and the like need not be text.
        with av.open(
            io.BytesIO(data), format="mp4", io_open=_refused, metadata_errors="replace"
        ) as container:
            stream = _stream(container, field, bounds)
            rate = float(stream.average_rate) if stream.average_rate else None
            return Video(_gathered(_decoded(container, field, bounds), field, bounds, wish), rate)
    except (av.FFmpegError, EOFError, ValueError) as error:
        raise InvalidRequest(field, "is not a readable MP4 video") from error


def check_frames(frames: Any, field: str, bounds: Bounds, wish: Wish = Wish()) -> Video:
    """As ``decode_video``, of uint8 [frames, height, width, 3].

    Raises:
        InvalidRequest: they are out of ``bounds``.
    """
    return Video(_gathered(iter(frames), field, bounds, wish), None)


def _refused(*_: Any) -> Never:
    raise EOFError("another file is not opened")


def _stream(container: Any, field: str, bounds: Bounds) -> Any:
    if not container.streams.video:
        raise InvalidRequest(field, "has no pictures in it")
    stream = container.streams.video[0]
    # Of what FFmpeg does not know at all there is no context.
    context = stream.codec_context
    codec = context.codec.canonical_name if context else "something unknown"
    if codec not in CODECS:
        raise InvalidRequest(field, f"is coded as {codec}; known are {', '.join(CODECS)}")
    _check_size(context.width, context.height, field, bounds)
    return stream


def _decoded(container: Any, field: str, bounds: Bounds) -> Iterator[Any]:
    for frame in container.decode(video=0):
        if frame.is_corrupt:
            raise InvalidRequest(field, "is broken: a frame of it cannot be decoded whole")
        _check_size(frame.width, frame.height, field, bounds)
        turned = round(frame.rotation / QUARTER)
        yield np.rot90(frame.to_ndarray(format="rgb24"), turned)


def _check_size(width: int, height: int, field: str, bounds: Bounds) -> None:
    if width * height > bounds.pixels:
        raise InvalidRequest(
            field, f"has {width}x{height} pixels; at most {bounds.pixels} in a frame are taken"
        )


def _gathered(found: Iterable[Any], field: str, bounds: Bounds, wish: Wish) -> Any:
    """The frames in one array. Room is reserved for all that may come; only what does uses it."""
    frames: Any = None
    number = 0
    for frame in found:
        if number == wish.frames:
            break
        if number == bounds.frames:
            raise InvalidRequest(
                field, f"has more than {number} frames; name num_frames, and the first are taken"
            )
        frame = _resized(frame, wish.size, field, bounds)
        if frames is None:
            most = min(bounds.frames, bounds.all_pixels // (frame.shape[0] * frame.shape[1]))
            frames = np.empty((most, *frame.shape), np.uint8)
        if frame.shape != frames.shape[1:]:
            raise InvalidRequest(field, "changes its size; name width and height")
        if number == len(frames):
            raise InvalidRequest(
                field,
                f"has more than {bounds.all_pixels} pixels in all its frames; name a smaller width "
                "and height, or num_frames",
            )
        frames[number] = frame
        number += 1
    if not number:
        raise InvalidRequest(field, "has no frames")
    return frames[:number]


def _resized(frame: Any, size: tuple[int | None, int | None], field: str, bounds: Bounds) -> Any:
    height, width = frame.shape[:2]
    _check_size(width, height, field, bounds)
    wanted = (size[0] or width, size[1] or height)
    if wanted == (width, height):
        return frame
    _check_size(*wanted, "width", bounds)
    return np.asarray(Image.fromarray(frame).resize(wanted, Image.Resampling.LANCZOS))
