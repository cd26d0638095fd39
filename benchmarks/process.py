"""A program in a process of its own, with a log, stopped on every exit path."""

import contextlib
import os
import signal
import subprocess
import time
from typing import IO, Final, Self

import psutil

from .errors import NotMeasurable

STOP_SECONDS: Final = 30.0
# Between two questions: often enough for a hundredth of a second, and no load for two cores.
POLL_SECONDS: Final = 0.01
LOG_LINES: Final = 20


class Process:
    """The process, with the processes that it starts itself as one group. ``what``: its name in
    messages. ``variables``: of its environment, beside our own.
    """

    def __init__(self, what: str, command: list[str], log: IO[bytes], **variables: str) -> None:
        self._what = what
        self._log = log
        # The settings of this machine's user are none of the benchmark's.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KILN_")} | variables
        self.started = time.perf_counter()
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

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, seconds: float) -> int:
        """Until it has ended by itself; its exit status.

        Raises:
            NotMeasurable: it still runs; with the end of its log.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise NotMeasurable(
                f"{self._what} still runs after {seconds:.0f} seconds:\n{self._log_tail()}"
            ) from error

    def check(self, missing: str, seconds: float) -> None:
        """It runs, and has not used up its ``seconds``.

        Raises:
            NotMeasurable: with the end of its log.
        """
        if self._process.poll() is not None:
            raise NotMeasurable(
                f"{self._what} ended with status {self._process.returncode}:\n{self._log_tail()}"
            )
        if time.perf_counter() - self.started > seconds:
            raise NotMeasurable(f"no {missing} after {seconds:.0f} seconds:\n{self._log_tail()}")

    def cpu_seconds(self) -> float:
        """That it has used itself, in all its threads."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def resident_bytes(self) -> int:
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def _log_tail(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])
