"""Encode videos: H.264 in MP4, the index before the frames, so that players start at once."""

import io
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

CONTENT_TYPE: Final = "video/mp4"
CODEC: Final = "libx264"
# Visually lossless at twice the speed of x264's default preset. Its macroblock tree is off: with it
# the same frames become other bytes every few times.
OPTIONS: Final = {"crf": "18", "preset": "veryfast", "mbtree": "0"}
# Rates such as 23.976 are fractions of 1001.
LARGEST_DENOMINATOR: Final = 1001


def encode_video(frames: Any, fps: float, description: str) -> bytes:
    """``frames``: uint8 [frames, height, width, 3], of even sides. The same frames become the same
    bytes. ``description`` goes into the file's comment, unless it is empty.

    Raises:
        ValueError: an odd side; H.264 codes colours for squares of two pixels.
    """
    import av  # by need: a server of pictures starts without it

    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"H.264 takes even sides, not {width}x{height}")
    file = io.BytesIO()
    container = av.open(
        file,
        "w",
        format="mp4",
        options={"movflags": "+faststart"},
        # To move the index to the front, the muxer reads what it has written.
        io_open=lambda *_: io.BytesIO(file.getvalue()),
    )
    with container:
        if description:
            container.metadata["comment"] = description
        stream = container.add_stream(
            CODEC, Fraction(fps).limit_denominator(LARGEST_DENOMINATOR), options=dict(OPTIONS)
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def comment(description: Mapping[str, object]) -> str:
    """One line of names and values."""
    return ", ".join(f"{name}: {value}" for name, value in description.items())
