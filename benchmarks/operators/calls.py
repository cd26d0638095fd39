"""How many calls a user made, as the API server itself counts them: each kind of call of each user
falls into a FlowSchema of its own, whose dispatched requests the server's metrics tell.

That costs the operators nothing, unlike a proxy, and needs no flag of the server, unlike an audit
log.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import NotMeasurable
from .api import Api

PATH: Final = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
METRIC: Final = "apiserver_flowcontrol_dispatched_requests_total{"
# That of any service account, by default.
LEVEL: Final = "workload-low"
FIRST_PRECEDENCE: Final = 700
SEEN_SECONDS: Final = 30.0
# So long without a call, and an operator has nothing left to do.
QUIET_SECONDS: Final = 3.0
POLL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Flow:
    """A kind of call. ``resources`` of ``groups``."""

    name: str
    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ("*",)
    resources: tuple[str, ...] = ("*",)

    def rule(self) -> dict[str, Any]:
        return {
            "verbs": list(self.verbs),
            "apiGroups": list(self.groups),
            "resources": list(self.resources),
            "clusterScope": True,
            "namespaces": ["*"],
        }


# The first that fits counts.
FLOWS: Final = (
    Flow("lease", ("*",), ("coordination.k8s.io",), ("leases",)),
    Flow("watch", ("watch",)),
    Flow("read", ("get", "list")),
    Flow("write", ("*",)),
)


@dataclass(frozen=True, slots=True)
class Calls:
    """``reads``: get and list. ``writes``: those that were sent, whether or not they changed
    something. Watches and the renewals of a lease are left out.
    """

    reads: int
    writes: int

    @property
    def all(self) -> int:
        return self.reads + self.writes

    def __sub__(self, before: "Calls") -> "Calls":
        return Calls(self.reads - before.reads, self.writes - before.writes)


class Counter:
    """Of one service account."""

    def __init__(self, api: Api, namespace: str, account: str) -> None:
        self._api = api
        self._prefix = f"benchmark-{namespace}"
        for place, flow in enumerate(FLOWS):
            schema = _schema(self._prefix, flow, FIRST_PRECEDENCE + place, namespace, account)
            api.apply(f"{PATH}/{schema['metadata']['name']}", schema)
        self._wait_until_it_counts()

    def count(self) -> Calls:
        found = dispatched(self._api.text("/metrics"))
        return Calls(found.get(self._name("read"), 0), found.get(self._name("write"), 0))

    def settled(self, seconds: float) -> Calls:
        """The count, once it has not changed for a while.

        Raises:
            NotMeasurable: calls went on for ``seconds``.
        """
        deadline = time.monotonic() + seconds
        found, since = self.count(), time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            if time.monotonic() > deadline:
                raise NotMeasurable(f"{self._prefix} still calls after {seconds:.0f} seconds")
            time.sleep(POLL_SECONDS)
            now = self.count()
            if now != found:
                found, since = now, time.monotonic()
        return found

    def _name(self, flow: str) -> str:
        return f"{self._prefix}-{flow}"

    def _wait_until_it_counts(self) -> None:
        """The server takes up new schemas a moment after they are written."""
        deadline = time.monotonic() + SEEN_SECONDS
        names = [self._name(each.name) for each in FLOWS]
        while not all(self._taken_up(each) for each in names):
            if time.monotonic() > deadline:
                raise NotMeasurable(f"the API server does not take up {', '.join(names)}")
            time.sleep(POLL_SECONDS)

    def _taken_up(self, name: str) -> bool:
        status = self._api.call("GET", f"{PATH}/{name}").get("status") or {}
        return any(
            each["type"] == "Dangling" and each["status"] == "False"
            for each in status.get("conditions", ())
        )


def dispatched(metrics: str) -> Mapping[str, int]:
    """Requests by FlowSchema, of the API server's metrics."""
    found: dict[str, int] = {}
    for line in metrics.splitlines():
        if line.startswith(METRIC):
            labels, _, number = line.rpartition(" ")
            name = labels.partition('flow_schema="')[2].partition('"')[0]
            found[name] = found.get(name, 0) + int(float(number))
    return found


def _schema(
    prefix: str, flow: Flow, precedence: int, namespace: str, account: str
) -> dict[str, Any]:
    subject = {
        "kind": "ServiceAccount",
        "serviceAccount": {"name": account, "namespace": namespace},
    }
    discovery = {"verbs": ["*"], "nonResourceURLs": ["*"]}
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": f"{prefix}-{flow.name}"},
        "spec": {
            "matchingPrecedence": precedence,
            "priorityLevelConfiguration": {"name": LEVEL},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [
                {
                    "subjects": [subject],
                    "resourceRules": [flow.rule()],
                    **({"nonResourceRules": [discovery]} if flow.name == "read" else {}),
                }
            ],
        },
    }
