"""Role's servers in processes of their own, and what they tell."""

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
from typing import Any, Self

from model.transport.addresses import Address

SECONDS = 60.0


class StageProcess:
    """A context manager: it starts the process, and leaves nothing of it."""

    def __init__(self, *flags: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.support.stage_program", *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._history: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    def __enter__(self) -> Self:
        self.port = int(self.wait("open")["port"])
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port, "localhost")

    def wait(self, what: str, **more: Any) -> dict[str, Any]:
        """The next event of this kind. What comes before it is passed over.

        Raises:
            queue.Empty: it did not come in time.
        """
        wanted = {"what": what, **more}.items()
        while not wanted <= (told := self._told.get(timeout=SECONDS)).items():
            pass
        return told

    def has_told(self, what: str, **more: Any) -> bool:
        """Whether it was ever told, without taking it away."""
        wanted = {"what": what, **more}.items()
        return any(wanted <= told.items() for told in list(self._history))

    def order(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """At once: nothing of it can say good-bye."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        for each in (self._process.stdin, self._process.stdout):
            assert each is not None
            with contextlib.suppress(BrokenPipeError):
                each.close()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            self._history.append(told)
            self._told.put(told)
