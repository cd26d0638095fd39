"""The sample that ships, on each backend, and who saw it start."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.witness import Witness

SAMPLE: Final = Path(__file__).parents[3] / "manifests/samples/01-embedded.yaml"
# A server starts within some of them on two idle cores.
START_SECONDS: Final = 240.0
# What a service of the embedded model needs, so that several fit on a small node.
SMALL: Final = {
    "requests": {"cpu": "100m", "memory": "1Gi"},
    "limits": {"cpu": "2", "memory": "4Gi"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """``changes``: of the sample's spec. ``front``: the Service that its users reach."""

    name: str
    front: str
    changes: dict[str, Any]

    def body(self) -> dict[str, Any]:
        sample: dict[str, Any] = yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))
        return {
            **sample,
            "metadata": {**sample["metadata"], "name": self.name},
            "spec": {**sample["spec"], **self.changes},
        }


CASES: Final = {
    # As it ships: KServe is there.
    "KServe": Case("fox", "fox-predictor", {}),
    "Deployment": Case(
        "hare",
        "hare",
        {
            "backend": "Deployment",
            "resources": SMALL,
            # Longer than the operator waits between two questions, also on fast machines.
            "warmup": {"resolutions": ["128x128", "192x192", "256x256"], "batchSizes": [1, 2]},
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Started:
    """A service that has become Ready. ``applied``: seconds since the epoch; ``pod``: its first."""

    case: Case
    kubectl: Kubectl
    witness: Witness
    applied: float
    pod: str


@contextlib.contextmanager
def started(kubectl: Kubectl) -> Iterator[dict[str, Started]]:
    """All cases at the same time: most of a start is waiting. The witnesses look on to the end."""
    with contextlib.ExitStack() as stack:
        applied = {}
        for case in CASES.values():
            witness = stack.enter_context(Witness(kubectl, case.name, case.front))
            applied[case.name] = (witness, time.time())
            kubectl.run("apply", "-f", "-", text=json.dumps(case.body()))
        for case in CASES.values():
            becoming_ready(kubectl, case.name)
        found = {}
        for backend, case in CASES.items():
            witness, at = applied[case.name]
            (pod,) = witness.addresses
            found[backend] = Started(case, kubectl, witness, at, pod)
        yield found


def becoming_ready(kubectl: Kubectl, name: str) -> None:
    """Return when the service is, as ``kubectl wait`` has it."""
    wait = ("--for=condition=Ready", f"dsvc/{name}", f"--timeout={START_SECONDS:g}s")
    kubectl.run("wait", *wait, seconds=START_SECONDS + 10)
