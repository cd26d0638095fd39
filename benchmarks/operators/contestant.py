"""One of the two operators: how it is started, and what is done to its services."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from controller.api import names
from controller.api.kinds import SERVICE

from ..process import POLL_SECONDS, Process
from ..rest import RestClient
from ..server import free_ports
from .accounts import ACCOUNT, BY_HAND, Rule, make_account, shipped_rules, write_kubeconfig
from .api import MERGE, Api
from .by_hand import IMAGE
from .calls import Calls, Counter
from .sightings import ServiceName, Sightings

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 120.0
# Of one service, alone.
SERVICE_SECONDS: Final = 60.0
# An ordinary service: a model of the hub on a GPU, without KServe.
SPEC: Final[dict[str, Any]] = {
    "backend": "Deployment",
    "model": {"uri": "hf://stabilityai/stable-diffusion-xl-base-1.0", "dtype": "float16"},
    "warmup": {"resolutions": ["1024x1024", "768x1344"], "timeout": "30m"},
    "resources": {"requests": {"cpu": 4}, "limits": {"memory": "32Gi", "nvidia.com/gpu": 1}},
}


@dataclass(frozen=True, slots=True)
class Entrant:
    """``command`` takes namespace, port and seconds between two resyncs. It is ready when the path
    ``ready`` answers 200 with ``word`` in it.
    """

    name: str
    namespace: str
    rules: tuple[Rule, ...]
    command: Callable[[str, int, float], list[str]]
    ready: str
    word: str


def _kiln(namespace: str, port: int, resync: float) -> list[str]:
    return [
        *(sys.executable, "-m", "controller", "run", "--image", IMAGE, "--log-format", "json"),
        *("--host", HOST, "--port", str(port), "--resync", str(resync)),
        *("--namespaces", namespace, "--lease-namespace", namespace),
    ]


def _by_hand(namespace: str, port: int, resync: float) -> list[str]:
    return [
        *(sys.executable, "-m", "benchmarks.operators.by_hand"),
        *("--namespace", namespace, "--port", str(port), "--resync", str(resync)),
    ]


KILN: Final = Entrant("Kiln", "kiln", shipped_rules(), _kiln, "/readyz", "leading")
HAND: Final = Entrant("by hand, kopf's way", "by-hand", BY_HAND, _by_hand, "/healthz", "")


class Contestant:
    """Its process is started and stopped as often as the measurement asks."""

    def __init__(
        self, entrant: Entrant, api: Api, sightings: Sightings, admin: Path, folder: Path
    ) -> None:
        self.entrant = entrant
        self.name = entrant.name
        self._log = folder / f"{entrant.namespace}.log"
        self._api = api
        self._sightings = sightings
        make_account(api, entrant.namespace, entrant.rules)
        self._kubeconfig = folder / f"{entrant.namespace}.kubeconfig"
        write_kubeconfig(api, entrant.namespace, admin, self._kubeconfig)
        self._counter = Counter(api, entrant.namespace, ACCOUNT)
        self._running = contextlib.ExitStack()
        self._process: Process | None = None

    def start(self, resync: float) -> tuple[float, float]:
        """When it was started, and the seconds until it said that it was ready."""
        self.stop()
        (port,) = free_ports(1)
        log = self._running.enter_context(self._log.open("w+b"))
        command = self.entrant.command(self.entrant.namespace, port, resync)
        self._process = self._running.enter_context(
            Process(self.name, command, log, KUBECONFIG=str(self._kubeconfig))
        )
        with contextlib.closing(RestClient(HOST, port)) as rest:
            while not self._ready(rest):
                self._process.check(self.entrant.ready, START_SECONDS)
                time.sleep(POLL_SECONDS)
        return self._process.started, time.perf_counter() - self._process.started

    def _ready(self, rest: RestClient) -> bool:
        status, text = rest.answer(self.entrant.ready)
        return status == HTTPStatus.OK and self.entrant.word in text

    def stop(self) -> None:
        self._running.close()
        self._process = None

    def cpu_seconds(self) -> float:
        assert self._process, "it runs"
        return self._process.cpu_seconds()

    def resident_bytes(self) -> int:
        assert self._process, "it runs"
        return self._process.resident_bytes()

    def calls(self) -> Calls:
        return self._counter.count()

    def settled(self, seconds: float = SERVICE_SECONDS) -> Calls:
        """Its calls so far, once it makes no more."""
        return self._counter.settled(seconds)

    def key(self, name: str) -> ServiceName:
        return self.entrant.namespace, name

    def apply(self, name: str) -> float:
        """Make a service; return the moment before that."""
        before = time.perf_counter()
        self._api.call(
            "POST",
            SERVICE.path(self.entrant.namespace),
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "metadata": {"name": name, "namespace": self.entrant.namespace},
                "spec": SPEC,
            },
        )
        return before

    def change(self, name: str, queue: int) -> float:
        """Another flag for its server; return the moment before that."""
        before = time.perf_counter()
        self._patch(name, {"spec": {"requests": {"maxQueue": queue}}})
        return before

    def touch(self, name: str, word: str) -> None:
        """A change of the object that means nothing to its children."""
        self._patch(name, {"metadata": {"labels": {"touched": word}}})

    def _patch(self, name: str, body: dict[str, Any]) -> None:
        self._api.call("PATCH", SERVICE.path(self.entrant.namespace, name), body, MERGE)

    def remove(self, several: Iterable[str], seconds: float = SERVICE_SECONDS) -> None:
        """Delete services, and return when their children are gone as well."""
        gone = list(several)
        for each in gone:
            self._api.call("DELETE", SERVICE.path(self.entrant.namespace, each))
        keys = map(self.key, gone)
        self._sightings.until_all(self._sightings.gone, keys, f"{self.name}: the end", seconds)
