"""The operator's own endpoints: /healthz, /readyz and /metrics.

Healthy is who does its work: a leader whose comparison with the cluster (see ``resync``) succeeded
lately, and found the watches alive. A standby that waits is healthy, too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .metrics import Metrics
from .observed import Observed

# Comparisons that may fail in a row, and that may find a watch silent.
FAILURES: Final = 3
SILENCES: Final = 2


@dataclass(slots=True)
class Vital:
    """``period``: seconds between two comparisons with the cluster."""

    period: float
    clock: Callable[[], float] = monotonic
    leading: bool = False
    synced: bool = False
    silences: int = 0
    _compared: float = field(default=0.0)

    def led(self) -> None:
        """We lead from now on."""
        self.leading = True
        self._compared = self.clock()

    def compared(self, *, missed: int) -> None:
        """The cluster was compared with what is known, and so many changes had not been told."""
        self._compared = self.clock()
        self.synced = True
        self.silences = self.silences + 1 if missed else 0

    @property
    def age(self) -> float:
        """Seconds since the last comparison."""
        return self.clock() - self._compared if self.leading else 0.0

    def complaint(self) -> str | None:
        """Why the process should be restarted."""
        if self.age > FAILURES * self.period:
            return f"the cluster was not compared with what is known for {self.age:.0f} s"
        if self.silences >= SILENCES:
            return f"the watches missed changes, {self.silences} comparisons in a row"
        return None


def application(
    vital: Vital, metrics: Metrics, observed: Observed, depth: Callable[[], int]
) -> web.Application:
    """``depth``: of the queue."""

    async def healthz(_: web.Request) -> web.Response:
        complaint = vital.complaint()
        return web.Response(text=complaint or "ok", status=503 if complaint else 200)

    async def readyz(_: web.Request) -> web.Response:
        if not vital.leading:
            return web.Response(text="standing by")
        return web.Response(
            text="leading" if vital.synced else "reading the cluster",
            status=200 if vital.synced else 503,
        )

    async def scrape(_: web.Request) -> web.Response:
        metrics.leader.set(vital.leading)
        metrics.watch_age.set(vital.age)
        metrics.queue_depth.set(depth())
        metrics.count_services(observed)
        return web.Response(
            body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape)]
    )
    return app
