"""The folder of a server's jobs: their table, and a file for each input and each result.

One server has it at a time: a lock, which the system lets go when its process ends, however it
ends. Another server that is given the same folder waits; in a rollout the new one gets it once the
old one is gone.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from ..errors import InvalidSettings
from .table import JobTable

TABLE: Final = "jobs.sqlite"
LOCK: Final = "lock"
FILES: Final = "files"
P = ParamSpec("P")
T = TypeVar("T")


class Held(Exception):
    """Another server has the folder."""


class JobStore:
    """``folder`` None: one of its own, which goes with the server."""

    def __init__(self, folder: Path | None) -> None:
        """Raises:
        InvalidSettings: there is no place for a folder of its own.
        """
        self.durable = folder is not None
        self.folder = folder or _own_folder()
        self._lock: int | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._table: JobTable | None = None

    async def acquire(self) -> None:
        """Raises:
        Held: not yet.
        InvalidSettings: the folder cannot be used.
        """
        await self._do(self._acquire)

    async def call(self, method: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """A method of the table, in its turn."""
        return await self._do(method, *given, **named)

    def soon(self, method: Callable[P, object], *given: P.args, **named: P.kwargs) -> None:
        """A method of the table, after what was called before, and before what is called next."""
        self._threads.submit(method, *given, **named)

    @property
    def table(self) -> JobTable:
        assert self._table is not None
        return self._table

    def path(self, id_: str, kind: str) -> Path:
        """``kind``: the end of its name."""
        return self.folder / FILES / f"{id_}.{kind}"

    async def write(self, id_: str, kind: str, content: bytes) -> None:
        """Whole, or not at all.

        Raises:
            OSError: there is no room.
        """
        await self._do(self._write, self.path(id_, kind), content)

    async def read(self, id_: str, kind: str) -> bytes:
        return await self._do(self.path(id_, kind).read_bytes)

    async def forget(self, id_: str) -> None:
        """The job, and all its files: nobody sees one without the other gone."""
        await self._do(self._forget, id_)

    async def close(self) -> None:
        if self._table is not None:
            await self._do(self._table.close)
            self._table = None
        self._threads.shutdown()
        if self._lock is not None:
            os.close(self._lock)
        if not self.durable:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _do(self, method: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: method(*given, **named))

    def _acquire(self) -> None:
        try:
            (self.folder / FILES).mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise InvalidSettings(
                f"jobs_dir: {str(self.folder)!r} cannot be written ({error.strerror}); name a "
                "folder on a volume that this server may write to"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Held from None
        try:
            self._table = JobTable(self.folder / TABLE)
        except sqlite3.Error as error:
            os.close(lock)
            raise InvalidSettings(f"jobs_dir: {TABLE} cannot be used: {error}") from error
        self._lock = lock

    def _write(self, path: Path, content: bytes) -> None:
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _forget(self, id_: str) -> None:
        self.table.remove(id_)
        for each in (self.folder / FILES).glob(f"{id_}.*"):
            with contextlib.suppress(FileNotFoundError):
                each.unlink()


def _own_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="kiln-jobs-"))
    except OSError as error:
        raise InvalidSettings(
            "jobs_dir: this server can write to no temporary folder; name one on a volume"
        ) from error
