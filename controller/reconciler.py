"""One level-triggered function: from what is observed of a service to what should be, and to what
is said of it. It may be called at any time, for any reason, and does nothing where nothing is to
be done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from .api import names
from .api.base import Object
from .api.kinds import INFERENCE_SERVICE, SERVICE
from .api.status import Status
from .children import Children
from .cluster import Cluster, Conflict, NotFound
from .desired.limits import check_names
from .desired.plan import Plan
from .desired.render import render
from .desired.service_object import address
from .errors import InvalidService
from .events import Announcer
from .logs import get_logger
from .metrics import Metrics
from .observed import Observed, ServiceKey
from .parts import PartState, read_part, with_progress
from .planning import pin, plan
from .progress import Inquiry
from .reasons import Finding
from .service import Service
from .verdict import failed, verdict

log = get_logger(__name__)

# A server that warms up is asked again so often, for the message; Kubernetes tells of the rest.
PROGRESS_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """``result``: of ``metrics.RESULTS``. ``again``: seconds after which to look again."""

    result: str
    again: float | None = None


def utc_now() -> str:
    """As Kubernetes writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Reconciler:
    """``image``: the model server's, for services that are seen for the first time."""

    def __init__(
        self,
        cluster: Cluster,
        observed: Observed,
        metrics: Metrics,
        image: str,
        now: Callable[[], str] = utc_now,
    ) -> None:
        self._cluster = cluster
        self._observed = observed
        self._metrics = metrics
        self._image = image
        self._now = now
        self._children = Children(cluster, observed, metrics)
        self._announcer = Announcer(cluster)
        self._inquiry = Inquiry()

    async def reconcile(self, key: ServiceKey) -> Outcome:
        """Bring one service about.

        Raises:
            ApiError: the API server could not be reached, or asked to come again.
        """
        body = self._observed.services.get(key)
        if body is None or body["metadata"].get("deletionTimestamp"):
            return Outcome("gone")  # its children go by their owner references
        try:
            service = Service.read(body)
        except InvalidService as error:
            return await self._give_up(_bare(body), error)
        pinned = pin(service, self._image)
        made = plan(service, pinned, kserve=await self._has_kserve(service))
        try:
            check_names(made)
        except InvalidService as error:
            return await self._give_up(service, error)
        wanted = render(made)
        trouble, writes = await self._children.bring_about(key, service.uid, wanted)
        parts = await self._observe(made, key, wanted)
        url = self._url(made, key)
        status = verdict(made, parts, pinned, url, trouble, self._now())
        writes += await self._say(service, status)
        waiting = any(each.addresses for each in parts)
        if trouble:
            return Outcome("failed")
        return Outcome("changed" if writes else "unchanged", PROGRESS_SECONDS if waiting else None)

    async def _has_kserve(self, service: Service) -> bool:
        """Asked only where the answer decides."""
        decided = service.status.backend is not None or service.spec.backend != "Auto"
        return False if decided else await self._cluster.serves(INFERENCE_SERVICE)

    async def _observe(
        self, made: Plan, key: ServiceKey, wanted: tuple[Object, ...]
    ) -> tuple[PartState, ...]:
        hashes = {
            each["metadata"]["labels"][names.PART_LABEL]: found
            for each in wanted
            if (found := _spec_hash(each)) is not None
        }
        parts = tuple(
            read_part(made, part, key, self._observed, hashes[part.place]) for part in made.parts
        )
        told = await self._inquiry.ask(address for each in parts for address in each.addresses)
        return tuple(with_progress(each, told) for each in parts)

    def _url(self, made: Plan, key: ServiceKey) -> str | None:
        if not made.on_kserve(made.front):
            return address(made)
        found = self._observed.child(key, "InferenceService", made.front.name) or {}
        url = (found.get("status") or {}).get("url")
        return str(url) if url else made.service.status.url

    async def _give_up(self, service: Service, error: InvalidService) -> Outcome:
        status = failed(service, Finding(error.reason, str(error)), self._now())
        await self._say(service, status)
        return Outcome("failed")

    async def _say(self, service: Service, status: Status) -> int:
        """Write the status if it says something new; announce it if Ready's reason is another."""
        if status == service.status:
            return 0
        # What it lacks is null, which removes it.
        said = dict.fromkeys(each.alias or name for name, each in Status.model_fields.items())
        said |= status.model_dump(mode="json", by_alias=True, exclude_none=True)
        try:
            answer = await self._cluster.write_status(
                service.namespace, service.name, service.uid, said
            )
        except (Conflict, NotFound):
            return 0  # it is gone, or another one has its name: the watch will tell
        self._observed.put(SERVICE, answer)
        self._metrics.writes.labels("status", SERVICE.name).inc()
        await self._announcer.announce(service, status)
        return 1


def _spec_hash(body: Object) -> str | None:
    """Of the pods that a child makes."""
    spec = body["spec"]
    if body["kind"] == "Deployment":
        annotations = spec["template"]["metadata"]["annotations"]
    elif body["kind"] == INFERENCE_SERVICE.name:
        annotations = spec["predictor"]["annotations"]
    else:
        return None
    found: str = annotations[names.SPEC_HASH_ANNOTATION]
    return found


def _bare(body: Object) -> Service:
    """The service without its spec, which cannot be read."""
    return Service.read({"metadata": body["metadata"], "status": body.get("status")})
