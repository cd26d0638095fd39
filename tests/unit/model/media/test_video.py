"""Videos as files: what a player of another make reads is what was drawn."""

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from model.media.encode import EncodePool
from model.media.video import comment, encode_video


def film(frames: int = 5, height: int = 48, width: int = 80) -> Any:
    """A bar that wanders to the right, brighter from frame to frame."""
    found = np.zeros((frames, height, width, 3), np.uint8)
    for number in range(frames):
        found[number, :, number * 8 : number * 8 + 16] = 50 + number * 40
    return found


def opened(data: bytes) -> Any:
    return av.open(io.BytesIO(data))


@pytest.mark.parametrize("frames", [1, 5])
def test_every_frame_comes_back(frames: int) -> None:
    drawn = film(frames)
    with opened(encode_video(drawn, 16.0, "")) as video:
        shown = [each.to_ndarray(format="rgb24") for each in video.decode(video=0)]
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert len(shown) == frames
    for before, after in zip(drawn, shown, strict=True):
        assert after.shape == before.shape
        assert np.abs(after.astype(int) - before).mean() < 3


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(16.0, Fraction(16)), (12.5, Fraction(25, 2)), (24000 / 1001, Fraction(24000, 1001))],
)
def test_the_rate_is_the_one_asked_for(fps: float, rate: Fraction) -> None:
    with opened(encode_video(film(), fps, "")) as video:
        stream = video.streams.video[0]
        assert stream.average_rate == rate
        assert float(stream.duration * stream.time_base) == pytest.approx(5 / fps, rel=1e-3)


def test_the_index_comes_before_the_frames() -> None:
    data = encode_video(film(), 16.0, "")
    assert data.index(b"moov") < data.index(b"mdat")


def test_the_file_says_how_it_was_made() -> None:
    with opened(encode_video(film(), 16.0, comment({"model": "m", "seed": 7}))) as video:
        assert video.metadata["comment"] == "model: m, seed: 7"


def test_the_same_frames_become_the_same_bytes() -> None:
    """Whatever was in the memory that the encoder is given."""
    found, litter = set(), []
    for number in range(60):
        litter.append(np.random.default_rng(number).bytes(number * 50_021 % 300_000))
        del litter[:-5]
        found.add(encode_video(film(), 16.0, ""))
    assert len(found) == 1


@pytest.mark.parametrize("size", [(47, 80), (48, 81)])
def test_odd_sides_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="even sides"):
        encode_video(film(1, *size), 16.0, "")


async def test_the_pool_encodes_each_video_in_order() -> None:
    videos = np.stack([film(), film()[::-1]])
    pool = EncodePool(2)
    try:
        found = await pool.encode_all(videos, "mp4", [{"seed": 1}, {"seed": 2}], 24.0)
    finally:
        pool.close()
    assert found == [
        encode_video(each, 24.0, f"seed: {seed}") for each, seed in zip(videos, (1, 2), strict=True)
    ]
