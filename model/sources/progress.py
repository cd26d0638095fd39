"""How far a fetch is: a bar on a terminal, and a line of the log now and then elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from ..telemetry.logs import get_logger

log = get_logger(__name__)

# Between two lines.
LINE_SECONDS: Final = 10.0


class Tally:
    """Bytes that are there, counted by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0

    def add(self, number: int) -> None:
        with self._lock:
            self._bytes += number

    @property
    def bytes(self) -> int:
        return self._bytes


class Show(Protocol):
    def __call__(self, done: int, /) -> None: ...


@contextlib.contextmanager
def shown(total: int) -> Iterator[Show]:
    """What to call with the bytes that are there, as often as one likes."""
    if sys.stderr.isatty():
        with _bar(total) as show:
            yield show
    else:
        yield Lines(total)


class Lines:
    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._started = self._last = clock()
        self._had: int | None = None

    def __call__(self, done: int, /) -> None:
        now = self._clock()
        if self._had is None:
            self._had = done  # of an earlier run: no measure of speed
        if now - self._last < LINE_SECONDS:
            return
        self._last = now
        speed = (done - self._had) / (now - self._started)
        log.info(
            "fetch_progress",
            bytes=done,
            of=self._total,
            percent=round(100 * done / max(1, self._total), 1),
            mb_per_second=round(speed / 1e6, 1),
            eta_s=round((self._total - done) / speed) if speed > 0 else None,
        )


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as Speed

    columns = ("fetching", BarColumn(), DownloadColumn(), Speed(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)
