"""A model server as it runs in a pod: what fails is started again, at the same address."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

import psutil

from ..process import Process
from ..rest import RestClient
from ..server import MODEL, free_ports, wait_for
from .patience import until
from .prometheus import HOST
from .traffic import Users

LIVE: Final = "/v2/health/live"
READY: Final = "/v2/health/ready"
END_SECONDS: Final = 60.0


class Pod:
    """``flags`` of its server."""

    def __init__(self, name: str, folder: Path, *flags: str) -> None:
        self.name = name
        self.port, self._grpc_port = free_ports(2)
        self.users = Users(self.port)
        self._log = folder / f"{name}.log"
        self._flags = flags
        self._process: Process

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """From here to the end of the block."""
        command = [
            *(sys.executable, "-m", "model", "serve", "--host", HOST, "--model-name", MODEL),
            *("--http-port", str(self.port), "--grpc-port", str(self._grpc_port)),
            *("--drain-delay", "0", *self._flags),
        ]
        with self._log.open("w+b") as log, Process(self.name, command, log) as process:
            self._process = process
            yield

    def until(self, path: str) -> None:
        """It answers 200 there.

        Raises:
            NotMeasurable: it ended, or takes too long.
        """
        with contextlib.closing(RestClient(HOST, self.port)) as rest:
            wait_for(self._process, rest, path)

    def kill_engine(self) -> None:
        """As a kernel without memory does, and return when the server has followed it."""
        for each in psutil.Process(self._process.pid).children():
            if any("spawn_main" in word for word in each.cmdline()):
                each.send_signal(signal.SIGKILL)
        self._process.wait(END_SECONDS)

    def until_busy(self) -> None:
        """A request is in flight."""
        idle = "\nkiln_requests_in_flight 0.0\n"
        with contextlib.closing(RestClient(HOST, self.port)) as rest:
            until(lambda: idle not in rest.get_text("/metrics"), "request in flight")

    def ready(self) -> bool:
        with contextlib.closing(RestClient(HOST, self.port)) as rest:
            return rest.status(READY) == HTTPStatus.OK
