"""The jobs in SQLite: one file that survives whatever becomes of the server. Blocks; ``store``
calls it on a thread of its own.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from ..errors import IdempotencyConflict, QuotaExceeded
from .job import UNFINISHED, Job, Limits, Status

# Of the table below. Another one is another release's, and is refused rather than misread.
VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    payer TEXT NOT NULL,
    created REAL NOT NULL,
    request TEXT NOT NULL,
    told TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    key TEXT,
    status TEXT NOT NULL,
    progress INTEGER NOT NULL,
    restarts INTEGER NOT NULL,
    ended REAL,
    expires REAL,
    code TEXT,
    problem TEXT,
    UNIQUE (owner, key)
);
CREATE INDEX jobs_by_status ON jobs (status, number);
"""
COLUMNS: Final = tuple(each.name for each in fields(Job))
AS_JSON: Final = ("request", "told")
# Here and below: names in statements are this module's own, and values are never part of them.
SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM jobs"  # noqa: S608
WAITING: Final = f"status IN ({', '.join(repr(str(each)) for each in UNFINISHED)})"
# A job that two servers did not survive may be what ends them.
MOST_RESTARTS: Final = 1
ENDED_TWICE: Final = "the server ended twice while it drew this video"


class JobTable:
    """Whoever has it open is the only one; ``folder`` sees to that."""

    def __init__(self, path: Path) -> None:
        """Raises:
        sqlite3.Error: it cannot be opened, or is no table of this release.
        """
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # An accepted job is on the disk before its answer leaves.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with self._transaction():
                for statement in SCHEMA.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            problem = f"it is of version {version}, and this release has {VERSION}"
            raise sqlite3.DatabaseError(problem)

    def add(self, job: Job, limits: Limits) -> Job:
        """The job; or the one that the same request with the same key made before.

        Raises:
            IdempotencyConflict: the key was given with another request.
            QuotaExceeded: there are too many.
        """
        with self._transaction():
            known = self._one("owner = ? AND key = ?", job.owner, job.key) if job.key else None
            if known is not None:
                if known.fingerprint != job.fingerprint:
                    problem = "was given with another request; choose another one"
                    raise IdempotencyConflict(f"Idempotency-Key: {problem}")
                return known
            if self._count() >= limits.all:
                raise QuotaExceeded(f"{limits.all} jobs wait or run, and no more are taken")
            if self._count(job.payer) >= limits.each:
                raise QuotaExceeded(f"{limits.each} of your jobs wait or run; let one end first")
            marks = ", ".join("?" * len(COLUMNS))
            values = [_written(name, getattr(job, name)) for name in COLUMNS]
            self._connection.execute(
                f"INSERT INTO jobs ({', '.join(COLUMNS)}) VALUES ({marks})",  # noqa: S608
                values,
            )
        return job

    def get(self, id_: str) -> Job | None:
        return self._one("id = ?", id_)

    def page(self, owner: str, after: str | None, limit: int, newest_first: bool) -> list[Job]:
        """``after``: the id of the last one of the page before."""
        order, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
        beginning = f"AND number {beyond} (SELECT number FROM jobs WHERE id = ?)" if after else ""  # noqa: S608
        rows = self._connection.execute(
            f"{SELECT} WHERE owner = ? {beginning} ORDER BY number {order} LIMIT ?",
            (owner, *((after,) if after else ()), limit),
        )
        return [_read(row) for row in rows]

    def claim(self) -> Job | None:
        """The next one, which runs from now on."""
        with self._transaction():
            job = self._one("status = 'queued' ORDER BY number LIMIT 1")
            if job is not None:
                self._set(job.id, status=Status.IN_PROGRESS, progress=0)
        return self.get(job.id) if job else None

    def advance(self, id_: str, progress: int) -> None:
        self._set(id_, progress=progress)

    def give_back(self, id_: str) -> None:
        """It did not get to its end, and that is not its fault."""
        self._set(id_, status=Status.QUEUED, progress=0)

    def complete(self, id_: str, now: float, lasts: float) -> None:
        self._set(id_, status=Status.COMPLETED, progress=100, ended=now, expires=now + lasts)

    def fail(self, id_: str, now: float, lasts: float, code: str, problem: str) -> None:
        self._set(
            id_, status=Status.FAILED, ended=now, expires=now + lasts, code=code, problem=problem
        )  # fmt: skip

    def remove(self, id_: str) -> None:
        self._connection.execute("DELETE FROM jobs WHERE id = ?", (id_,))

    def expired(self, now: float) -> list[str]:
        rows = self._connection.execute("SELECT id FROM jobs WHERE expires < ?", (now,))
        return [row[0] for row in rows]

    def recover(self, now: float, lasts: float) -> tuple[int, int]:
        """What ran when the server ended runs once more, and then no more. How many of each."""
        with self._transaction():
            running = [
                _read(row) for row in self._connection.execute(f"{SELECT} WHERE status = "
                                                               "'in_progress'")
            ]  # fmt: skip
            again = [each for each in running if each.restarts < MOST_RESTARTS]
            for each in running:
                if each in again:
                    self._set(each.id, status=Status.QUEUED, progress=0, restarts=each.restarts + 1)
                else:
                    self.fail(each.id, now, lasts, "server_ended", ENDED_TWICE)
        return len(again), len(running) - len(again)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _one(self, where: str, *values: Any) -> Job | None:
        row = self._connection.execute(f"{SELECT} WHERE {where}", values).fetchone()
        return _read(row) if row else None

    def _count(self, payer: str | None = None) -> int:
        where, values = (WAITING, ()) if payer is None else (f"{WAITING} AND payer = ?", (payer,))
        (found,) = self._connection.execute(
            f"SELECT COUNT(*) FROM jobs WHERE {where}",  # noqa: S608
            values,
        ).fetchone()
        return int(found)

    def _set(self, id_: str, **values: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        self._connection.execute(
            f"UPDATE jobs SET {names} WHERE id = ?",  # noqa: S608
            (*values.values(), id_),
        )


def _written(name: str, value: Any) -> Any:
    return json.dumps(value) if name in AS_JSON else value


def _read(row: tuple[Any, ...]) -> Job:
    values = dict(zip(COLUMNS, row, strict=True))
    values |= {name: json.loads(values[name]) for name in AS_JSON}
    return Job(**{**values, "status": Status(values["status"])})
