"""When each child of each service was first seen, and each service's status: by watches of our own,
so that both operators are judged by the same clock.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import urllib3

from controller.api.kinds import BY_NAME, SERVICE, Kind
from controller.api.names import SERVICE_LABEL

from ..errors import NotMeasurable
from .api import Api

ONLY_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
KINDS: Final = ("NetworkPolicy", "Service", "Deployment", "PodDisruptionBudget")
CONNECT_SECONDS: Final = 10.0

# Namespace and name of a DiffusionService.
ServiceName = tuple[str, str]


@dataclass(slots=True)
class Sight:
    """Of one object: when it was first seen, and its newest generation."""

    first: float
    generation: int


class Sightings:
    """Times are those of ``time.perf_counter``."""

    def __init__(self) -> None:
        self._seen: dict[ServiceName, dict[str, Sight]] = {}
        self._told: dict[ServiceName, float] = {}
        self._services: set[ServiceName] = set()
        self._change = threading.Condition()

    def follow(self, api: Api) -> None:
        """Watch until ``api`` is closed, in threads."""
        selector = f"labelSelector={SERVICE_LABEL}"
        for name in KINDS:
            kind = BY_NAME[name]
            self._start(api, kind, f"{kind.path(None)}?{selector}", ONLY_METADATA)
        self._start(api, SERVICE, SERVICE.path(None), "application/json")

    def _start(self, api: Api, kind: Kind, path: str, accept: str) -> None:
        def listen() -> None:
            try:
                for event in api.watch(path, accept):
                    self.take(kind, event, time.perf_counter())
            except (urllib3.exceptions.HTTPError, OSError):
                return  # the end; whoever waits for more runs into a deadline

        threading.Thread(target=listen, daemon=True, name=f"watch {kind.plural}").start()

    def take(self, kind: Kind, event: dict[str, Any], now: float) -> None:
        """Take in one event of a watch."""
        with self._change:
            if kind is SERVICE:
                self._take_service(event, now)
            else:
                self._take_child(kind, event, now)
            self._change.notify_all()

    def _take_service(self, event: dict[str, Any], now: float) -> None:
        body = event["object"]
        name = (body["metadata"]["namespace"], body["metadata"]["name"])
        if event["type"] == "DELETED":
            self._services.discard(name)
            self._told.pop(name, None)
            return
        self._services.add(name)
        if (body.get("status") or {}).get("phase"):
            self._told.setdefault(name, now)

    def _take_child(self, kind: Kind, event: dict[str, Any], now: float) -> None:
        metadata = event["object"]["metadata"]
        place = self._seen.setdefault(
            (metadata["namespace"], metadata["labels"][SERVICE_LABEL]), {}
        )
        if event["type"] == "DELETED":
            place.pop(kind.name, None)
            return
        generation = metadata.get("generation", 1)
        sight = place.setdefault(kind.name, Sight(now, generation))
        sight.generation = max(sight.generation, generation)

    def made(self, name: ServiceName) -> float | None:
        """When the last of its children appeared; None while one is missing."""
        place = self._seen.get(name, {})
        return max(each.first for each in place.values()) if len(place) == len(KINDS) else None

    def told(self, name: ServiceName) -> float | None:
        """When it first had a status."""
        return self._told.get(name)

    def deployment(self, name: ServiceName) -> Sight:
        return self._seen[name]["Deployment"]

    def gone(self, name: ServiceName) -> bool:
        """Neither it nor any child is there."""
        return name not in self._services and not self._seen.get(name)

    def until(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        """Return when ``done`` is true.

        Raises:
            NotMeasurable: it was not in time.
        """
        with self._change:
            if not self._change.wait_for(done, seconds):
                raise NotMeasurable(f"{what}: not after {seconds:.0f} seconds")

    def until_all(
        self, done: Callable[[ServiceName], object], names: Iterable[ServiceName], what: str,
        seconds: float,
    ) -> None:  # fmt: skip
        """Return when ``done`` is true of each."""
        left = list(names)

        def none_left() -> bool:
            while left and done(left[-1]):
                left.pop()
            return not left

        self.until(none_left, what, seconds)
