"""C14, C16: a spec whose pods do not come up. The status says why, the pods of the spec before go
on serving, and mending the spec is all that it takes.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.support.kubectl import Kubectl, Object
from tests.integration.support.server import wait_until

from .conftest import PODS, SMALLER, Rolling, runs

CLAIM = "empty"


@dataclass(frozen=True, slots=True)
class Case:
    """``reason``: of Ready, in the end. ``words``: of the message, the server's own."""

    spec: dict[str, Any]
    reason: str
    words: tuple[str, ...]


CASES = {
    "resolution": Case(
        {"warmup": {"resolutions": ["100x100"]}}, "InvalidSettings", ("100x100", "multiple")
    ),
    "path": Case(
        {"model": {"uri": f"pvc://{CLAIM}/nowhere"}}, "ModelNotLoadable", ("/mnt/models/nowhere",)
    ),
    "memory": Case(
        {"resources": {name: {**each, "memory": "400Mi"} for name, each in SMALLER.items()}},
        "OutOfMemory",
        ("memory",),
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def claim(admin: Kubectl, asked: Rolling) -> Iterator[None]:
    """A volume with nothing on it."""
    size = {"storage": "1Gi"}
    modes = ["ReadOnlyMany"]
    metadata = {"name": f"{CLAIM}-{asked.kubectl.namespace}"}
    asked.kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": metadata,
            "spec": {
                "capacity": size,
                "accessModes": modes,
                "storageClassName": "",
                "hostPath": {"path": "/var/empty", "type": "DirectoryOrCreate"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": CLAIM},
            "spec": {
                "accessModes": modes,
                "storageClassName": "",
                "volumeName": metadata["name"],
                "resources": {"requests": size},
            },
        },
    )
    yield
    admin.run("delete", "persistentvolume", metadata["name"], "--wait=false")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_c16_failed_start_leaves_the_old_pods_alone(rolling: Rolling, case: Case) -> None:
    before = runs(rolling.settled())
    with changed(rolling, case.spec):
        wait_until(lambda: says(rolling, case.words), f"the status says {case.words}")
        stalled = wait_until(lambda: stands(rolling), "it is Stalled")
        assert stalled["reason"] == case.reason, stalled
        assert says(rolling, case.words), stalled
        assert condition(rolling, "Ready")["reason"] == case.reason
        assert condition(rolling, "Available")["status"] == "True"
        rolling.load.served(2)
    assert runs(rolling.settled(PODS)) == before


@contextlib.contextmanager
def changed(rolling: Rolling, fields: dict[str, Any]) -> Iterator[None]:
    """Mended afterwards, whatever came of it."""
    rolling.change(**fields)
    try:
        yield
    finally:
        rolling.change()


def says(rolling: Rolling, words: tuple[str, ...]) -> bool:
    """Of the newest spec: it is not Ready, and why."""
    ready = condition(rolling, "Ready")
    message = ready.get("message", "")
    return ready.get("status") == "False" and all(each in message for each in words)


def condition(rolling: Rolling, kind: str) -> Object:
    """Of the newest spec; empty, where nothing is said of that yet."""
    body = rolling.services.get(rolling.name)
    found = rolling.services.condition(rolling.name, kind)
    newest = found.get("observedGeneration") == body["metadata"]["generation"]
    return found if newest else {}


def stands(rolling: Rolling) -> Object | None:
    found = condition(rolling, "Stalled")
    return found if found.get("status") == "True" else None
