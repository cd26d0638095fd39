"""Servers that live and die together, each in a process: all end when one does, or when told to,
and none outlives the process that started them, however that ends.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import Any, Final

from ..configuration.resolve import Resolved
from ..errors import StartupError
from ..telemetry.logs import name_server

# Beyond what a server gives its requests when it drains.
SPARE_SECONDS: Final = 15.0
ENDED_BY_SIGNAL: Final = 128


def run_together(members: Sequence[tuple[str, Resolved]]) -> int:
    """Start servers by these names, of which the last one leads users' requests through the others.
    Return when all have ended: 0 when told to, else the exit status of the first that failed.
    """
    return _Group(members).run()


class _Group:
    def __init__(self, members: Sequence[tuple[str, Resolved]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._processes: list[Any] = [
            context.Process(target=_play, args=each, name=each[0]) for each in members
        ]
        self._front = self._processes[-1]
        settings = members[-1][1].settings
        self._patience = settings.drain_delay + settings.drain_timeout + SPARE_SECONDS
        self._status = 0
        self._ending: float | None = None
        self._heard, self._tell = os.pipe()

    def run(self) -> int:
        os.set_blocking(self._tell, False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        for each in self._processes:
            each.start()
        while running := self._running():
            ready = wait([self._heard, *(each.sentinel for each in running)], self._left())
            if self._heard in ready:
                self._told(os.read(self._heard, 1)[0])
            self._look(running)
        return self._status

    def _note(self, number: int, _frame: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._tell, bytes([number]))

    def _running(self) -> list[Any]:
        return [each for each in self._processes if each.exitcode is None]

    def _left(self) -> float | None:
        """Seconds to wait for the end; None while there is none in sight."""
        if self._ending is None:
            return None
        return max(0.0, self._ending + self._patience - time.monotonic())

    def _told(self, number: int) -> None:
        """SIGTERM: whoever has requests drains, and the others serve it meanwhile. Ctrl-C, or a
        second signal, does not wait.
        """
        first = self._begin_to_end()
        if first and number == signal.SIGTERM:
            self._send(signal.SIGTERM, [self._front])
        else:
            self._send(signal.SIGINT, self._running())

    def _look(self, before: list[Any]) -> None:
        ended = [each for each in before if each.exitcode is not None]
        if self._left() == 0.0:
            self._send(signal.SIGKILL, self._running())
        if not ended:
            return
        if self._begin_to_end():
            failed = next((each for each in ended if each.exitcode), ended[0])
            self._status = _status(failed.exitcode)
            print(f"kiln: {failed.name} has ended; so do the others", file=sys.stderr)
        self._send(signal.SIGINT, self._running())

    def _begin_to_end(self) -> bool:
        """Whether this is the beginning."""
        first = self._ending is None
        if first:
            self._ending = time.monotonic()
        return first

    def _send(self, number: int, processes: list[Any]) -> None:
        for each in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, number)


def _status(code: int) -> int:
    """As a shell has it. A server that ends well without being told to has failed, too."""
    return ENDED_BY_SIGNAL - code if code < 0 else code or 1


def _play(name: str, resolved: Resolved) -> None:
    """One server, in its own process."""
    from ..serving.server import serve

    # Until the server has its own handlers, told to stop means that nothing has started.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    threading.Thread(target=_follow_parent, name="parent", daemon=True).start()
    name_server(name)
    try:
        status = serve(resolved)
    except StartupError as error:
        print(f"kiln: {name}: {error}", file=sys.stderr)
        status = error.exit_code
    sys.exit(status)


def _follow_parent() -> None:
    """Whoever started this one has been killed: nobody is left to end it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGINT)
