"""The server as a child process that leaves nothing behind, however the demo ends."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_SECONDS = 20.0
GRACE_SECONDS = 1.0


class ServerEnded(Exception):
    """The server ended by itself."""


class Server:
    """``python -m model serve`` on two free ports. Its standard error is the terminal's, so that
    its own progress bar shows.
    """

    def __init__(self) -> None:
        self.http_port, self.grpc_port = _free_ports()
        self._folder = tempfile.TemporaryDirectory(prefix="kiln-demo-")
        self._reason = Path(self._folder.name) / "termination-message"
        self._reason.touch()
        # Its own session: Ctrl-C reaches the demo alone, which then stops the server in order, and
        # one process group holds everything that the server started.
        self._process = subprocess.Popen(
            self._command(), env=_environment(), start_new_session=True
        )

    def _command(self) -> list[str]:
        options = {
            "host": "127.0.0.1",
            "http-port": self.http_port,
            "grpc-port": self.grpc_port,
            "drain-delay": 0,
            "log-level": "warning",
            "termination-message-path": self._reason,
        }
        given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        return [sys.executable, "-m", "model", "serve", *given]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self._kill_group()
            self._folder.cleanup()

    def check_alive(self) -> None:
        """Raises:
        ServerEnded: with the server's own reason.
        """
        status = self._process.poll()
        if status is not None:
            reason = self._reason.read_text(encoding="utf-8", errors="replace").strip()
            raise ServerEnded(
                f"the server ended with exit status {status}: {reason or 'its messages are above'}"
            )

    def stop(self) -> int:
        """Ask the server to stop, wait, and return its exit status. Twice is harmless."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"The server did not stop within {STOP_SECONDS:.0f} s and is killed.")
                self._process.kill()
                # What it started notices, and tidies up after it.
                time.sleep(GRACE_SECONDS)
        return self._process.wait()

    def _kill_group(self) -> None:
        # The group may be gone, which is what we want.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _environment() -> dict[str, str]:
    """Without the settings of somebody's own server, so that the demo is the same everywhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}


def _free_ports() -> tuple[int, int]:
    """Both are held until both are known, so that they differ."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
