"""Every metric of the operator. Labels hold words of ours, never names of services: the number of
series does not grow with the cluster.
"""

from collections import Counter as Tally
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .api.kinds import CHILDREN, SERVICE
from .observed import Observed
from .reasons import Phase

SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RESULTS: Final = ("unchanged", "changed", "failed", "gone")
UNKNOWN: Final = "Unknown"


class Metrics:
    """Of one operator process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "kiln_operator_reconciles", "Reconciles by result.", ["result"], registry=self.registry
        )
        # Prometheus sees no increase in a counter that begins with its first event.
        for result in RESULTS:
            self.reconciles.labels(result)
        self.reconcile_seconds = Histogram(
            "kiln_operator_reconcile_seconds",
            "Seconds of one reconcile.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.queue_seconds = Histogram(
            "kiln_operator_queue_seconds",
            "Seconds that a service waited for its reconcile.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "kiln_operator_queue_depth", "Services that wait.", registry=self.registry
        )
        self.writes = Counter(
            "kiln_operator_writes", "Writes by verb and kind.", ["verb", "kind"],
            registry=self.registry,
        )  # fmt: skip
        for kind in CHILDREN:
            self.writes.labels("apply", kind.name)
            self.writes.labels("delete", kind.name)
        self.writes.labels("status", SERVICE.name)
        self.missed = Counter(
            "kiln_operator_missed_changes",
            "Changes that a watch did not tell, and a resync found.",
            registry=self.registry,
        )
        self.watch_age = Gauge(
            "kiln_operator_watch_age_seconds",
            "Seconds since the watches were last compared with the cluster.",
            registry=self.registry,
        )
        self.leader = Gauge(
            "kiln_operator_leader", "1 while this process leads.", registry=self.registry
        )
        self.services = Gauge(
            "kiln_operator_services", "DiffusionServices by phase.", ["phase"],
            registry=self.registry,
        )  # fmt: skip

    def count_services(self, observed: Observed) -> None:
        """Anew, from what is known."""
        tally = Tally(
            (body.get("status") or {}).get("phase") or UNKNOWN
            for body in observed.services.values()
        )
        for phase in (*map(str, Phase), UNKNOWN):
            self.services.labels(phase).set(tally.get(phase, 0))
