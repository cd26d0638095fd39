"""Compare what is known with the cluster: once in full before anything is done, and then again and
again, by metadata alone.

Watches are trusted to be fast, and not to be complete: one that dies without a word, or that skips
a deletion while it reconnects, is found out here, and what it missed is taken in.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Final, TypeVar

from .api import names
from .api.base import Object
from .api.kinds import SERVICE, WATCHED, Kind
from .cluster import Cluster, NotFound, Unreachable
from .logs import get_logger
from .metrics import Metrics
from .observed import Observed, ServiceKey

log = get_logger(__name__)

T = TypeVar("T")

# A change that is younger than this may still be on its way.
GRACE_SECONDS: Final = 5.0
# Of each question of a comparison: one that fails must not make those before it worthless.
ATTEMPTS: Final = 4
RETRY_SECONDS: Final = 0.5


class Resync:
    """``namespaces``: those that are served; none means all. ``enqueue`` hears of each service of
    which something was missed.
    """

    def __init__(
        self,
        cluster: Cluster,
        observed: Observed,
        metrics: Metrics,
        namespaces: Sequence[str],
        enqueue: Callable[[ServiceKey], None],
    ) -> None:
        self._cluster = cluster
        self._observed = observed
        self._metrics = metrics
        self._enqueue = enqueue
        self._namespaces: Sequence[str | None] = namespaces or (None,)

    async def load(self) -> None:
        """Take in everything, however long the API server needs."""
        for kind in WATCHED:
            for namespace in self._namespaces:
                await self._load(kind, namespace)

    async def compare(self) -> int:
        """How many changes no watch has told. They are known afterwards."""
        suspects = [each async for each in self._differences()]
        if suspects:
            await asyncio.sleep(GRACE_SECONDS)
        missed = 0
        for kind, metadata in suspects:
            if self._known_version(kind, metadata) == metadata.get("resourceVersion"):
                continue
            if key := await self._heal(kind, metadata):
                self._enqueue(key)
                self._metrics.missed.inc()
                missed += 1
        return missed

    async def _differences(self) -> AsyncIterator[tuple[Kind, Object]]:
        """Objects that are not as they are known: newer, unknown, or gone."""
        for kind in WATCHED:
            listed: dict[tuple[str, str], Object] = {}
            for namespace in self._namespaces:
                for metadata in await self._metadata(kind, namespace):
                    listed[metadata["namespace"], metadata["name"]] = metadata
            for metadata in listed.values():
                if self._known_version(kind, metadata) != metadata["resourceVersion"]:
                    yield kind, metadata
            for body in list(self._observed.everything(kind)):
                known = body["metadata"]
                if (known["namespace"], known["name"]) not in listed:
                    yield kind, {**known, "resourceVersion": None}

    def _known_version(self, kind: Kind, metadata: Object) -> str | None:
        for body in self._of(kind, metadata):
            version: str = body["metadata"].get("resourceVersion", "")
            return version
        return None

    def _of(self, kind: Kind, metadata: Object) -> Iterator[Object]:
        labels = metadata.get("labels") or {}
        name = metadata["name"] if kind is SERVICE else labels.get(names.SERVICE_LABEL, "")
        key = ServiceKey(metadata["namespace"], name)
        found = (
            self._observed.services.get(key)
            if kind is SERVICE
            else self._observed.child(key, kind.name, metadata["name"])
        )
        if found is not None:
            yield found

    async def _heal(self, kind: Kind, metadata: Object) -> ServiceKey | None:
        """Look once more, at the object itself; None where nothing had been missed after all."""
        namespace, name = metadata["namespace"], metadata["name"]
        live = await self._live(kind, namespace, name)
        known = next(self._of(kind, metadata), None)
        if live is None:
            if known is None:
                return None
            log.warning("missed_deletion", kind=kind.name, name=name)
            return self._observed.remove(kind, known)
        if known and known["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]:
            return None
        log.warning("missed_change", kind=kind.name, name=name)
        return self._observed.put(kind, live)

    async def _live(self, kind: Kind, namespace: str, name: str) -> Object | None:
        try:
            return await _patiently(lambda: self._cluster.get(kind, namespace, name), ATTEMPTS)
        except NotFound:
            if not kind.optional:
                raise
            return None  # its whole kind is gone

    async def _load(self, kind: Kind, namespace: str | None) -> None:
        try:
            await _patiently(lambda: self._read(kind, namespace), None)
        except NotFound:
            if not kind.optional:
                raise

    async def _read(self, kind: Kind, namespace: str | None) -> None:
        async for page in self._cluster.pages(kind, namespace, _selector(kind)):
            for body in page:
                self._observed.put(kind, body)

    async def _metadata(self, kind: Kind, namespace: str | None) -> list[Object]:
        selector = _selector(kind)
        try:
            return await _patiently(
                lambda: self._cluster.metadata(kind, namespace, selector), ATTEMPTS
            )
        except NotFound:
            if not kind.optional:
                raise
            return []  # the cluster lacks the software that it belongs to


def _selector(kind: Kind) -> str:
    return "" if kind is SERVICE else names.SERVICE_LABEL


async def _patiently(ask: Callable[[], Awaitable[T]], attempts: int | None) -> T:
    """``attempts``: None is without an end."""
    for attempt in itertools.count(1):
        try:
            return await ask()
        except Unreachable as error:
            if attempt == attempts:
                raise
            log.warning("asked_in_vain", reason=str(error))
            await asyncio.sleep(error.retry_after or RETRY_SECONDS)
    raise AssertionError("a count has no end")
