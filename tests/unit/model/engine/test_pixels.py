"""Shared memory for pictures: it crosses whole, and is gone in every case."""

import errno
import os
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest

from model.engine.pixels import PixelBuffer, write_pixels
from model.errors import OutOfMemory

SHAPE = (2, 3, 5, 3)


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever the test did, none of our own memory is left in the folder of shared memory."""
    made: list[str] = []

    class Noting(SharedMemory):
        def __init__(self, name: str | None = None, create: bool = False, size: int = 0) -> None:
            try:
                super().__init__(name, create, size)
            finally:
                made.append(str(self._name).lstrip("/"))

    monkeypatch.setattr("model.engine.pixels.SharedMemory", Noting)
    yield
    assert made
    assert [name for name in made if place(name).exists()] == []


def place(name: str) -> Path:
    return Path("/dev/shm") / name  # noqa: S108


def test_pixels_cross_whole() -> None:
    drawn = np.arange(np.prod(SHAPE), dtype=np.uint8).reshape(SHAPE)
    with PixelBuffer(SHAPE) as buffer:
        write_pixels(buffer.name, drawn)
        copied = buffer.copied()
    assert np.array_equal(copied, drawn)
    assert copied.base is None, "memory of its own: the shared one is gone"


def test_the_memory_is_there_until_the_end() -> None:
    with PixelBuffer(SHAPE) as buffer:
        assert place(buffer.name).stat().st_size >= np.prod(SHAPE)


def test_an_error_meanwhile_removes_it() -> None:
    with pytest.raises(KeyError), PixelBuffer(SHAPE):
        raise KeyError


def test_writing_to_memory_that_is_gone_is_an_error() -> None:
    with PixelBuffer(SHAPE) as buffer:
        name = buffer.name
    with pytest.raises(FileNotFoundError):
        write_pixels(name, np.zeros(SHAPE, np.uint8))


def test_a_picture_of_another_size_is_not_cut_to_fit() -> None:
    larger = np.zeros((100, 100, 100, 3), np.uint8)
    with PixelBuffer(SHAPE) as buffer, pytest.raises(TypeError, match="too small"):
        write_pixels(buffer.name, larger)


@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.ENOMEM, errno.EFBIG])
def test_no_room_is_told_at_once_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, problem: int
) -> None:
    """Without it, the engine would be killed by SIGBUS when it writes."""

    def full(*_: object) -> None:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutOfMemory, match="mount a larger"):
        PixelBuffer(SHAPE)


def test_more_than_the_machine_has_is_told_too() -> None:
    """The real thing: nobody has an exbibyte."""
    with pytest.raises(OutOfMemory, match="mount a larger"):
        PixelBuffer((1, 2**30, 2**30, 1))
