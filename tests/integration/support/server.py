"""A real server in a process of its own: start it, wait for its states, end it, leave nothing."""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import psutil

MODEL = "embedded"
START_SECONDS = 180.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
LOG_LINES = 40
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, seconds: float = START_SECONDS) -> T:
    """Poll until ``condition`` returns something true, and return that.

    Raises:
        AssertionError: it did not come to that in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not after {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)
    return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]


class ServerProcess:
    """``python -m model serve`` with ``flags``, on free ports of the loopback.

    A context manager: it starts the process, and at the end kills whatever is left of it and of
    its children, and asserts that nothing was left. ``folder`` takes the log and the termination
    message. ``terminal``: standard error is a terminal. ``environment``: variables besides those of
    this process, of which none of Kiln's own is passed on.
    """

    def __init__(
        self,
        folder: Path,
        *flags: str,
        terminal: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.http_port, self.grpc_port = free_ports(2)
        self.base_url = f"http://127.0.0.1:{self.http_port}"
        self.grpc_address = f"127.0.0.1:{self.grpc_port}"
        self.model = MODEL
        self.termination_message = folder / "termination-message"
        self._log_path = folder / "server.log"
        self._terminal = terminal
        self._environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("KILN_")},
            **(environment or {}),
        }
        self.command = [
            *(sys.executable, "-m", "model", "serve"),
            *("--host", "127.0.0.1"),
            *("--http-port", str(self.http_port), "--grpc-port", str(self.grpc_port)),
            *("--drain-delay", "0"),
            *("--termination-message-path", str(self.termination_message)),
            *flags,
        ]
        self.process: subprocess.Popen[bytes]
        self.client = httpx.Client(base_url=self.base_url, timeout=120, trust_env=False)

    def __enter__(self) -> Self:
        self._memory_before = _shared_memory()
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self._log_path.open("wb"))
            stderr = self._open_terminal(stack) if self._terminal else log.fileno()
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=stderr,
                env=self._environment,
                start_new_session=True,
            )
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.client.close()
        killed = self.process.poll() is None
        if killed:
            self.process.kill()
        self.process.wait()
        try:
            # Its children follow it by themselves, however it ended.
            wait_until(lambda: not self.session(), "its children have ended", STOP_SECONDS)
            wait_until(lambda: not self.left_memory(), "its shared memory is removed", STOP_SECONDS)
        except AssertionError as error:
            left = [f"{each.pid} {' '.join(each.cmdline())}" for each in self.session()]
            self._kill_session()
            if kind is None:
                raise AssertionError(
                    f"left behind: processes {left}, shared memory {self.left_memory()}; "
                    f"{self.log_tail()}"
                ) from error

    # -- waiting --------------------------------------------------------------------------------

    def wait_live(self, seconds: float = START_SECONDS) -> Self:
        """Until ``/v2/health/live`` answers 200."""
        return self._wait_for("/v2/health/live", seconds)

    def wait_ready(self, seconds: float = START_SECONDS) -> Self:
        """Until ``/v2/health/ready`` answers 200."""
        return self._wait_for("/v2/health/ready", seconds)

    def wait_state(self, *states: str, seconds: float = START_SECONDS) -> dict[str, Any]:
        """Until the model's metadata shows one of ``states``; the metadata."""

        def reached() -> dict[str, Any] | None:
            if "failed" not in states:
                self._must_run()
            found = self.metadata() if self.status("/v2/health/live") else None
            return found if found and found["state"] in states else None

        return wait_until(reached, f"state in {states}", seconds)

    def wait_event(self, name: str, seconds: float = START_SECONDS) -> dict[str, Any]:
        """Until the log holds an event of this name; the event."""

        def logged() -> dict[str, Any] | None:
            return next(iter(self.events(name)), None)

        return wait_until(logged, f"event {name} in the log", seconds)

    def wait_exit(self, seconds: float = STOP_SECONDS) -> int:
        """Until the process has ended; its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"still running after {seconds:g} s\n{self.log_tail()}") from error

    def terminate(self, seconds: float = STOP_SECONDS) -> int:
        """Send SIGTERM, wait for the end; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(seconds)

    # -- looking --------------------------------------------------------------------------------

    def status(self, path: str) -> int:
        """The HTTP status of a GET, 0 where nobody answers."""
        try:
            return self.client.get(path).status_code
        except httpx.TransportError:
            return 0

    def metadata(self) -> dict[str, Any]:
        """``GET /v2/models/{name}`` of the only model."""
        name = self.client.get("/v2/models").json()["models"][0]
        found: dict[str, Any] = self.client.get(f"/v2/models/{name}").json()
        return found

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def log_tail(self) -> str:
        """The end of the log, for messages of failed tests."""
        lines = "\n".join(self.log().splitlines()[-LOG_LINES:])
        return f"the server's log ends in:\n{lines}"

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The log's events in order; only those of one name, where it is given."""
        found = list(_events(self.log()))
        return [each for each in found if name is None or each.get("event") == name]

    def engine(self) -> psutil.Process | None:
        """The engine's process, once it is there."""
        try:
            children = psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return None
        for each in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                if any("spawn_main" in part for part in each.cmdline()):
                    return each
        return None

    def session(self) -> list[psutil.Process]:
        """Every living process of the session that the server leads, also where its parent is
        gone."""
        found = []
        for each in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
                if (
                    os.getsid(each.pid) == self.process.pid
                    and each.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(each)
        return found

    def left_memory(self) -> list[str]:
        """Shared memory that came since the start and that no living process holds. Names are
        random, and other servers of this machine have theirs in the same folder."""
        new = _shared_memory() - self._memory_before
        return sorted(new - _held_memory()) if new else []

    # -- inside ---------------------------------------------------------------------------------

    def _wait_for(self, path: str, seconds: float) -> Self:
        def answered() -> bool:
            self._must_run()
            return self.status(path) == httpx.codes.OK

        try:
            wait_until(answered, f"200 from {path}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from error
        return self

    def _must_run(self) -> None:
        if self.process.poll() is not None or self.events("failed"):
            raise AssertionError(
                f"the server failed, with status {self.process.returncode}\n{self.log_tail()}"
            )

    def _kill_session(self) -> None:
        for each in self.session():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()

    def _open_terminal(self, stack: contextlib.ExitStack) -> int:
        """A terminal whose output goes to the log too; the server's end of it."""
        ours, theirs = pty.openpty()
        stack.callback(os.close, theirs)
        threading.Thread(target=self._copy_terminal, args=(ours,), daemon=True).start()
        return theirs

    def _copy_terminal(self, ours: int) -> None:
        with (
            os.fdopen(ours, "rb", buffering=0) as terminal,
            self._log_path.open("ab", buffering=0) as log,
            # The end of the last process on the other side is an OSError here.
            contextlib.suppress(OSError),
        ):
            while part := terminal.read(4096):
                log.write(part)


def _events(log: str) -> Iterator[dict[str, Any]]:
    for line in log.splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found


def _shared_memory() -> frozenset[str]:
    return frozenset(each.name for each in SHARED_MEMORY.glob("psm_*"))


def _held_memory() -> set[str]:
    """Names of the shared memory that living processes have open."""
    held = set()
    for place in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            target = place.readlink()
            if target.parent == SHARED_MEMORY:
                held.add(target.name)
    return held
