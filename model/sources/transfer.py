"""One file from its source, whole and checked: gone on with where an earlier run stopped, and left
alone where that had brought it.
"""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from ..errors import DownloadCorrupt, NoRoom
from ..telemetry.logs import get_logger
from .digests import Hasher, hasher
from .listing import CHUNK, BrokenOff, Digest, RemoteFile, Source
from .patience import FIRST_PAUSE, Stopped, patiently
from .record import PLACE

log = get_logger(__name__)
T = TypeVar("T")

PARTS: Final = "parts"


@dataclass(frozen=True, slots=True)
class Transfer:
    """``came`` is told how many bytes have come, and fewer than none where they were thrown away.
    ``stop`` ends it at the next chunk.
    """

    source: Source
    folder: Path
    came: Callable[[int], None]
    stop: threading.Event
    first_pause: float = FIRST_PAUSE

    def bring(self, file: RemoteFile) -> None:
        """The file is at ``whole_of``, or this raises.

        Raises:
            StartupError: it cannot be had, cannot be written, or is not what the source lists.
            Stopped: by ``stop``.
        """
        whole, part = whole_of(self.folder, file), part_of(self.folder, file)
        if whole.exists():
            self.came(file.size)
            return
        digest = self._again_and_again(file, lambda: self.source.digest(file))
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            if not self._complete(file, digest, part) and not self._complete(file, digest, part):
                raise DownloadCorrupt(
                    f"{file.path}: what arrives has another {_checked_by(digest)} than the source "
                    "lists, twice in a row; upload it again, or look at what stands in between"
                )
            part.replace(whole)
        except OSError as error:
            raise NoRoom(
                f"{self.folder} cannot take {file.path}: {error.strerror}; give the volume more "
                "room, or make it writable for this user"
            ) from error
        log.info("file_fetched", path=file.path, bytes=file.size, checked_by=_checked_by(digest))

    def _complete(self, file: RemoteFile, digest: Digest | None, part: Path) -> bool:
        """Fetch what is missing; False, and nothing is left of it, where it is not right then."""
        seen = hasher(digest, file.size) if digest else None
        had = part.stat().st_size if part.exists() else 0
        if had > file.size:
            part.unlink()
            had = 0
        with part.open("ab") as opened:
            if had:
                log.info("file_resumed", path=file.path, bytes=had)
                _take_in(part, seen)
            self.came(had)
            self._again_and_again(file, lambda: self._append(file, opened.fileno(), seen))
            os.fsync(opened.fileno())
        if seen is None or digest is None or seen.hexdigest() == digest.value:
            return True
        log.warning("file_is_not_right", path=file.path, checked_by=digest.algorithm)
        self.came(-file.size)
        part.unlink()
        return False

    def _append(self, file: RemoteFile, opened: int, seen: Hasher | None) -> None:
        start = os.fstat(opened).st_size
        if start == file.size:
            return
        for chunk in self.source.read(file, start):
            if self.stop.is_set():
                raise Stopped
            room = file.size - os.fstat(opened).st_size
            fitting = chunk[:room]
            _write(opened, fitting)
            if seen is not None:
                seen.update(fitting)
            self.came(len(fitting))
        if os.fstat(opened).st_size < file.size:
            raise BrokenOff("the source ended in the middle")

    def _again_and_again(self, file: RemoteFile, work: Callable[[], T]) -> T:
        """While it breaks off, from where it broke off."""
        part = part_of(self.folder, file)
        return patiently(
            work, file.path, self.stop.wait, self.first_pause, reached=lambda: _size(part)
        )


def part_of(folder: Path, file: RemoteFile) -> Path:
    """Where the file lies while it is not whole. Another content has another name, so that no file
    is ever made of two.
    """
    name = hashlib.sha256(f"{file.path}\n{file.size}\n{file.identity}".encode()).hexdigest()
    return folder / PLACE / PARTS / name


def whole_of(folder: Path, file: RemoteFile) -> Path:
    """Where the file waits, whole and checked, until all of them can be put into their places."""
    return part_of(folder, file).with_suffix(".whole")


def _take_in(part: Path, seen: Hasher | None) -> None:
    if seen is None:
        return
    with part.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            seen.update(chunk)


def _write(opened: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(opened, view) :]


def _size(part: Path) -> int:
    with contextlib.suppress(OSError):
        return part.stat().st_size
    return 0


def _checked_by(digest: Digest | None) -> str:
    return digest.algorithm if digest else "size"
