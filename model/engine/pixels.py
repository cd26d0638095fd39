"""Shared memory for the pictures of one request.

The API process makes it before the engine runs and removes it in every case: whoever dies, nothing
is left (if the API process itself is killed, Python's resource tracker removes it).
"""

import math
import os
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from ..errors import OutOfMemory

PixelShape = tuple[int, ...]


class PixelBuffer:
    """Room for uint8 pixels of one shape. A context manager of the API process."""

    def __init__(self, shape: PixelShape) -> None:
        self.shape = shape
        size = math.prod(shape)
        try:
            self._memory = _reserved(size)
        except OSError as error:
            raise OutOfMemory(
                f"shared memory has no room for {size} bytes of pictures; mount a larger /dev/shm "
                "(an emptyDir with medium: Memory), or ask for fewer pictures"
            ) from error

    @property
    def name(self) -> str:
        return self._memory.name

    def copied(self) -> Any:
        """The pictures, in memory of their own."""
        return np.ndarray(self.shape, np.uint8, self._memory.buf).copy()

    def copied_at(self, place: int) -> Any:
        """What is at ``place`` along the first side, in memory of its own."""
        return np.ndarray(self.shape, np.uint8, self._memory.buf)[place].copy()

    def close(self) -> None:
        self._memory.close()
        self._memory.unlink()

    def __enter__(self) -> "PixelBuffer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reserved(size: int) -> SharedMemory:
    memory = SharedMemory(create=True, size=size)
    try:
        # Without this a full /dev/shm kills the writer by SIGBUS.
        os.posix_fallocate(memory._fd, 0, size)  # type: ignore[attr-defined]
    except OSError:
        memory.close()
        memory.unlink()
        raise
    return memory


def write_pixels(name: str, pixels: Any, place: int = 0) -> None:
    """Engine's side: copy ``pixels`` into the named memory, behind ``place`` others as large."""
    memory = SharedMemory(name)
    try:
        np.ndarray(pixels.shape, np.uint8, memory.buf, place * pixels.nbytes)[...] = pixels
    finally:
        memory.close()
