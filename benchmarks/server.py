"""A real server in a process of its own, stopped on every exit path."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any, Final, Self

from .errors import NotMeasurable
from .rest import RestClient

# Compiling a large model takes minutes for each shape.
START_SECONDS: Final = 1500.0
STOP_SECONDS: Final = 30.0
# Between two questions: often enough for a hundredth of a second, and no load for two cores.
POLL_SECONDS: Final = 0.01
LOG_LINES: Final = 20
MODEL: Final = "measured"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """``live_seconds`` and ``ready_seconds``: from the start of the process, seen from outside."""

    rest: RestClient
    grpc_address: str
    live_seconds: float
    ready_seconds: float

    def metadata(self) -> dict[str, Any]:
        return self.rest.get_json(f"/v2/models/{MODEL}")

    def metric(self, name: str) -> float:
        """The sum over all labels.

        Raises:
            NotMeasurable: the server has no such metric.
        """
        lines = self.rest.get_text("/metrics").splitlines()
        values = [
            float(each.rpartition(" ")[2])
            for each in lines
            if each.startswith((f"{name} ", f"{name}{{"))
        ]
        if not values:
            raise NotMeasurable(f"the server exports no {name}")
        return sum(values)


@contextlib.contextmanager
def running_server(*flags: str) -> Iterator[RunningServer]:
    """Start a server, wait until it is Ready, stop it at the end.

    Raises:
        NotMeasurable: it ended, or was not Ready in time; with the end of its log.
    """
    http_port, grpc_port = free_ports(2)
    command = [
        *(sys.executable, "-m", "model", "serve"),
        *("--host", "127.0.0.1", "--http-port", str(http_port), "--grpc-port", str(grpc_port)),
        *("--drain-delay", "0", "--model-name", MODEL),
        *flags,
    ]
    with tempfile.TemporaryFile() as log, _Process(command, log) as process:
        rest = RestClient("127.0.0.1", http_port)
        with contextlib.closing(rest):
            live = process.wait_for(rest, "/v2/health/live")
            ready = process.wait_for(rest, "/v2/health/ready")
            yield RunningServer(rest, f"127.0.0.1:{grpc_port}", live, ready)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]


class _Process:
    """The server's process, with the processes that it starts itself as one group."""

    def __init__(self, command: list[str], log: IO[bytes]) -> None:
        self._log = log
        # The settings of this machine's user are none of the benchmark's.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KILN_")}
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        # Whatever it left behind, its engine among it, ends here.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_for(self, rest: RestClient, path: str) -> float:
        """Seconds from the start to the first 200."""
        while rest.status(path) != HTTPStatus.OK:
            if self._process.poll() is not None:
                raise NotMeasurable(
                    f"the server ended with status {self._process.returncode}:\n{self._log_tail()}"
                )
            if time.perf_counter() - self._started > START_SECONDS:
                raise NotMeasurable(
                    f"no {path} after {START_SECONDS:.0f} seconds:\n{self._log_tail()}"
                )
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - self._started

    def _log_tail(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])
