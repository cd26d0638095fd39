"""Compare what is known with the cluster: once in full before anything is done, and then again and
again, by metadata alone.

Watches are trusted to be fast, and not to be complete: one that dies without a word, or that skips
a deletion while it reconnects, is found out here, and what it missed is taken in.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from .api import names
from .api.base import Object
from .api.kinds import SERVICE, WATCHED, Kind
from .cluster import Cluster, NotFound
from .logs import get_logger
from .metrics import Metrics
from .observed import Observed, ServiceKey

log = get_logger(__name__)

# A change that is younger than this may still be on its way.
GRACE_SECONDS: Final = 5.0


class Resync:
    """``namespaces``: those that are served; none means all."""

    def __init__(
        self, cluster: Cluster, observed: Observed, metrics: Metrics, namespaces: Sequence[str]
    ) -> None:
        self._cluster = cluster
        self._observed = observed
        self._metrics = metrics
        self._namespaces: Sequence[str | None] = namespaces or (None,)

    async def load(self) -> None:
        """Take in everything."""
        for kind in WATCHED:
            for namespace in self._namespaces:
                await self._load(kind, namespace)

    async def compare(self) -> tuple[int, set[ServiceKey]]:
        """How many changes no watch has told, and of which services. They are known afterwards."""
        suspects = [each async for each in self._differences()]
        if suspects:
            await asyncio.sleep(GRACE_SECONDS)
        concerned: set[ServiceKey] = set()
        missed = 0
        for kind, metadata in suspects:
            if self._known_version(kind, metadata) == metadata.get("resourceVersion"):
                continue
            if key := await self._heal(kind, metadata):
                concerned.add(key)
                missed += 1
        self._metrics.missed.inc(missed)
        return missed, concerned

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
        live = await self._cluster.get(kind, metadata["namespace"], metadata["name"])
        known = next(self._of(kind, metadata), None)
        if live is None:
            if known is None:
                return None
            log.warning("missed_deletion", kind=kind.name, name=metadata["name"])
            return self._observed.remove(kind, known)
        if known and known["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]:
            return None
        log.warning("missed_change", kind=kind.name, name=metadata["name"])
        return self._observed.put(kind, live)

    async def _load(self, kind: Kind, namespace: str | None) -> None:
        try:
            async for page in self._cluster.pages(kind, namespace, _selector(kind)):
                for body in page:
                    self._observed.put(kind, body)
        except NotFound:
            if not kind.optional:
                raise

    async def _metadata(self, kind: Kind, namespace: str | None) -> list[Object]:
        try:
            return await self._cluster.metadata(kind, namespace, _selector(kind))
        except NotFound:
            if not kind.optional:
                raise
            return []  # the cluster lacks the software that it belongs to


def _selector(kind: Kind) -> str:
    return "" if kind is SERVICE else names.SERVICE_LABEL
