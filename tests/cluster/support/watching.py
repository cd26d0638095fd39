"""What the API server tells of some objects, with the time at which it did."""

import json
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from tests.cluster.support.kubectl import Kubectl, Object


@dataclass(frozen=True, slots=True)
class Seen:
    """``at``: seconds since the epoch."""

    at: float
    kind: str
    body: Object


class Watch:
    """A context manager. ``path``: of a list of the API; ``which``: its selectors."""

    def __init__(self, kubectl: Kubectl, path: str, **which: str) -> None:
        self.seen: list[Seen] = []
        query = urlencode({"watch": "true", **which})
        where = ("--kubeconfig", str(kubectl.kubeconfig))
        self._command = [kubectl.program, *where, "get", "--raw", f"{path}?{query}"]
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                event = json.loads(line)
                self.seen.append(Seen(time.time(), event["type"], event["object"]))
