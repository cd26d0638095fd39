"""Start a program of a cluster, wait until it works, end it; each known by pid and start time."""

import contextlib
import http.client
import os
import ssl
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from .errors import ClusterError
from .layout import Layout
from .program import Program

START_SECONDS = 90.0
# For ending in order; then they are killed. Nothing of a test cluster is worth waiting for.
STOP_SECONDS = 5.0
ANSWER_SECONDS = 5.0
POLL_SECONDS = 0.05
LOG_LINES = 20


@dataclass(frozen=True, slots=True)
class Running:
    """A process. ``started`` tells it from another that has got the same pid since."""

    pid: int
    started: float

    def process(self) -> psutil.Process | None:
        """None once it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.pid)
            if found.create_time() == self.started and found.status() != psutil.STATUS_ZOMBIE:
                return found
        return None

    @property
    def alive(self) -> bool:
        return self.process() is not None


def identify(pid: int) -> Running:
    """The process that has this pid now."""
    return Running(pid, psutil.Process(pid).create_time())


def start(program: Program, layout: Layout) -> Running:
    """Start it in a session of its own: a terminal's interrupt is for us, who end it in order."""
    with log_file(program, layout).open("ab") as log:
        process = subprocess.Popen(
            program.command(layout),
            cwd=layout.folder,
            env={
                **os.environ,
                **{name: layout.fill(text) for name, text in program.environment.items()},
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return identify(process.pid)


def log_file(program: Program, layout: Layout) -> Path:
    """What the program says, on both of its streams."""
    return layout.file(f"{program.name}.log")


def wait_healthy(
    program: Program, layout: Layout, running: Running, seconds: float = START_SECONDS
) -> None:
    """Return when its health check answers 200.

    Raises:
        ClusterError: it ended, or it was not healthy in time; the message has the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not is_healthy(program, layout):
        if not running.alive:
            raise ClusterError(f"{program.name} ended at its start; {_log_tail(program, layout)}")
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{program.name} was not healthy after {seconds:g} s; {_log_tail(program, layout)}"
            )
        time.sleep(POLL_SECONDS)


def is_healthy(program: Program, layout: Layout) -> bool:
    """Whether its health check answers 200 now."""
    address = urlsplit(layout.fill(program.health))
    assert address.hostname is not None
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        trust = ssl.create_default_context(cafile=str(layout.authority))
        connection = http.client.HTTPSConnection(
            address.hostname, address.port, timeout=ANSWER_SECONDS, context=trust
        )
    else:
        connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=ANSWER_SECONDS
        )
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", address.path)
        return connection.getresponse().status == http.client.OK
    return False


def stop(processes: Iterable[Running], seconds: float = STOP_SECONDS) -> None:
    """End them one after the other, and return when all of them are gone."""
    for running in processes:
        process = running.process()
        if process is None:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
            if not _ends_within(seconds, running):
                process.kill()
                # Our own child stays a zombie until it is waited for; another's is init's.
                process.wait(seconds)


def _ends_within(seconds: float, running: Running) -> bool:
    deadline = time.monotonic() + seconds
    while running.alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _log_tail(program: Program, layout: Layout) -> str:
    log = log_file(program, layout)
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return f"{log} ends in:\n" + "\n".join(lines)
