"""W15: videos from clients: upright, in bounds, or refused by the name of their input."""

import io
import struct
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import InvalidRequest
from model.media.decode_video import Bounds, Video, Wish, check_frames, decode_video
from model.media.video import encode_video

BOUNDS = Bounds(pixels=64 * 96, frames=9, all_pixels=9 * 64 * 96)
# Of a track's header, behind its name: what stands before the matrix.
BEFORE_MATRIX = 40


def film(frames: int = 5, height: int = 48, width: int = 80) -> Any:
    """Brighter to the right, darker downwards, and brighter from frame to frame."""
    found = np.zeros((frames, height, width, 3), np.uint8)
    found += np.linspace(0, 150, width, dtype=np.uint8)[None, None, :, None]
    found -= np.minimum(found, np.linspace(0, 90, height, dtype=np.uint8)[None, :, None, None])
    return found + (np.arange(frames, dtype=np.uint8) * 10)[:, None, None, None]


MP4 = encode_video(film(), 12.5, "")


def decoded(data: bytes, bounds: Bounds = BOUNDS, **wish: Any) -> Video:
    return decode_video(data, "video", bounds, Wish(**wish))


def refusal(data: bytes, bounds: Bounds = BOUNDS, **wish: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        decoded(data, bounds, **wish)
    return str(caught.value)


def apart(one: Any, other: Any) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def test_w15_every_frame_comes_and_the_rate() -> None:
    found = decoded(MP4)
    assert found.frames.dtype == np.uint8
    assert apart(found.frames, film()) < 3
    assert found.fps == 12.5


def test_w15_frames_are_resized_and_cut() -> None:
    found = decoded(MP4, size=(64, 32), frames=2)
    assert found.frames.shape == (2, 32, 64, 3)
    assert apart(found.frames[0], film(1, 32, 64)[0]) < 6
    assert decoded(MP4, size=(None, 64), frames=9).frames.shape == (5, 64, 80, 3)


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((0, 1, -1, 0), -1), ((0, -1, 1, 0), 1), ((-1, 0, 0, -1), 2)],
    ids=["right", "left", "upside down"],
)
def test_w15_a_telephones_video_is_turned_upright(matrix: tuple[int, ...], turns: int) -> None:
    """As their cameras write it: lying frames, and how a player turns them."""
    a, b, c, d = (each * 65536 for each in matrix)
    data = bytearray(MP4)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 4 + BEFORE_MATRIX, a, b, 0, c, d, 0, 0, 0,
                     1 << 30)  # fmt: skip
    assert apart(decoded(bytes(data)).frames, np.rot90(film(), turns, (1, 2))) < 3


@pytest.mark.parametrize(
    ("bounds", "wish", "problem"),
    [
        ((64 * 48, 9, 10**6), {}, "video: has 80x48 pixels; at most 3072 in a frame are taken"),
        ((10**4, 4, 10**6), {}, "video: has more than 4 frames; name num_frames"),
        ((10**4, 4, 10**6), {"frames": 5}, "video: has more than 4 frames; name num_frames"),
        ((10**4, 9, 4 * 80 * 48), {}, "video: has more than 15360 pixels in all its frames; name"),
        ((10**4, 9, 10**6), {"size": (500, 500)}, "width: has 500x500 pixels; at most 10000 in a"),
    ],
)
def test_w15_what_is_too_large_is_named(
    bounds: tuple[int, int, int], wish: dict[str, Any], problem: str
) -> None:
    assert refusal(MP4, Bounds(*bounds), **wish).startswith(problem)


def test_w15_no_more_is_decoded_than_is_taken() -> None:
    exact = Bounds(pixels=80 * 48, frames=5, all_pixels=5 * 80 * 48)
    assert len(decoded(MP4, exact).frames) == 5
    two = Bounds(pixels=80 * 48, frames=5, all_pixels=2 * 80 * 48)
    assert len(decoded(MP4, two, frames=2).frames) == 2


def written(codec: str, container: str, kind: str = "video") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(codec, 16)
        stream.width, stream.height, stream.pix_fmt = 80, 48, "yuv420p"
        for frame in film(2):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not a readable MP4 video"),
        (b"no video", "is not a readable MP4 video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "is not a readable MP4 video"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "is not a readable MP4 video"),
        (MP4[: len(MP4) // 2], "is not a readable MP4 video"),
        (MP4.replace(b"vide", b"soun"), "has no pictures in it"),
        (written("libx264", "matroska"), "is not a readable MP4 video"),
        (written("mpeg2video", "mp4"), "is coded as mpeg2video; known are h264, hevc, av1, vp9"),
    ],
)  # fmt: skip
def test_w15_what_is_no_readable_video_is_refused(data: bytes, problem: str) -> None:
    assert refusal(data).startswith(f"video: {problem}")


def test_w15_a_file_with_a_broken_frame_is_refused_and_not_patched_up() -> None:
    """FFmpeg would repeat parts of other frames in its place."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 64, 96, 3), np.uint8)
    data = bytearray(encode_video(noise, 16.0, ""))
    middle = slice(len(data) // 2, len(data) // 2 + 400)
    data[middle] = bytes(255 - each for each in data[middle])
    assert refusal(bytes(data)) == "video: is broken: a frame of it cannot be decoded whole"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(MP4) - 1), st.integers(0, 255)), max_size=30))
def test_w15_any_damage_is_read_or_refused_by_name(damage: list[tuple[int, int]]) -> None:
    data = bytearray(MP4)
    for place, value in damage:
        data[place] = value
    try:
        found = decoded(bytes(data))
    except InvalidRequest as error:
        assert error.field in {"video", "width"}  # noqa: PT017
    else:
        assert found.frames.size <= 3 * BOUNDS.all_pixels


def test_w15_plain_frames_are_held_to_the_same_bounds() -> None:
    found = check_frames(film(), "video", BOUNDS, Wish((64, 32), 2))
    assert (found.frames.shape, found.fps) == ((2, 32, 64, 3), None)
    assert np.array_equal(check_frames(film(), "video", BOUNDS).frames, film())
    for bounds, problem in (
        (Bounds(9, 9, 10**6), "has 80x48 pixels"),
        (Bounds(10**6, 4, 10**6), "has more than 4 frames"),
        (Bounds(10**6, 9, 80 * 48), "has more than 3840 pixels"),
    ):
        with pytest.raises(InvalidRequest, match=f"video: {problem}"):
            check_frames(film(), "video", bounds)
