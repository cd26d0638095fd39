"""What a comparison with the cluster finds; the tests on a cluster have the rest (C07, C10)."""

from typing import Any

import pytest

from controller import resync as module
from controller.api import names
from controller.api.kinds import BY_NAME, DEPLOYMENT, Kind
from controller.cluster import Cluster, NotFound
from controller.metrics import Metrics
from controller.observed import Observed, ServiceKey
from controller.resync import Resync

POD_MONITOR = BY_NAME["PodMonitor"]
KEY = ServiceKey("art", "fox")


class Lacking(Cluster):
    """A cluster with no object in it, that does not know one kind; no HTTP."""

    def __init__(self, unknown: Kind) -> None:
        self.unknown = unknown

    async def metadata(self, kind: Kind, *_: Any) -> list[dict[str, Any]]:
        self._check(kind)
        return []

    async def get(self, kind: Kind, *_: Any) -> dict[str, Any] | None:
        self._check(kind)
        return None

    def _check(self, kind: Kind) -> None:
        if kind is self.unknown:
            raise NotFound("the server could not find the requested resource", 404)


def compared(unknown: Kind, known: Kind) -> tuple[Resync, Observed, list[ServiceKey]]:
    """With one child of ``known`` that the operator believes to be there."""
    observed, enqueued = Observed(), list[ServiceKey]()
    labels = {names.SERVICE_LABEL: KEY.name}
    metadata = {"name": "fox", "namespace": "art", "labels": labels, "resourceVersion": "1"}
    observed.put(known, {"metadata": metadata})
    made = Resync(Lacking(unknown), observed, Metrics(), (), enqueued.append)
    return made, observed, enqueued


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0)


async def test_c07_children_whose_whole_kind_is_gone_are_gone() -> None:
    resync, observed, enqueued = compared(unknown=POD_MONITOR, known=POD_MONITOR)
    assert await resync.compare() == 1
    assert enqueued == [KEY]
    assert observed.child(KEY, POD_MONITOR.name, "fox") is None
    assert await resync.compare() == 0


async def test_c10_a_kind_that_every_cluster_has_cannot_be_gone() -> None:
    resync, _, enqueued = compared(unknown=DEPLOYMENT, known=DEPLOYMENT)
    with pytest.raises(NotFound):
        await resync.compare()
    assert not enqueued
