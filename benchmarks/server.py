"""A real server in a process of its own, stopped on every exit path."""

import contextlib
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from .errors import NotMeasurable
from .process import POLL_SECONDS, Process
from .rest import RestClient

# Compiling a large model takes minutes for each shape.
START_SECONDS: Final = 1500.0
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
    with tempfile.TemporaryFile() as log, Process("the server", command, log) as process:
        rest = RestClient("127.0.0.1", http_port)
        with contextlib.closing(rest):
            live = wait_for(process, rest, "/v2/health/live")
            ready = wait_for(process, rest, "/v2/health/ready")
            yield RunningServer(rest, f"127.0.0.1:{grpc_port}", live, ready)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]


def wait_for(process: Process, rest: RestClient, path: str) -> float:
    """Seconds from the start to the first 200."""
    while rest.status(path) != HTTPStatus.OK:
        process.check(path, START_SECONDS)
        time.sleep(POLL_SECONDS)
    return time.perf_counter() - process.started
