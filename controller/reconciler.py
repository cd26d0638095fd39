"""One level-triggered function: from what is observed of a service to what should be, and to what
is said of it. It may be called at any time, for any reason, and does nothing where nothing is to
be done.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from .api import names
from .api.base import Object
from .api.kinds import INFERENCE_SERVICE, SERVICE
from .api.status import Status
from .children import Children
from .cluster import Cluster, NotFound
from .desired.limits import check_names
from .desired.plan import FRONT, Plan
from .desired.render import render
from .desired.service_object import address
from .errors import InvalidService
from .events import Announcer
from .inquiry import Inquiry, Server
from .logs import get_logger
from .metrics import Metrics
from .observed import Observed, ServiceKey
from .parts import PartState, read_part, with_telling
from .planning import pin, plan
from .reasons import Finding
from .service import Service
from .turns import router_waits, spared, spec_hash, waiting
from .verdict import failed, verdict

log = get_logger(__name__)


def utc_now() -> str:
    """As Kubernetes writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Reconciler:
    """``image``: the model server's, for services that are seen for the first time.
    ``own_namespace``: where the operator's own pods are.
    """

    def __init__(
        self,
        cluster: Cluster,
        observed: Observed,
        metrics: Metrics,
        image: str,
        inquiry: Inquiry,
        own_namespace: str | None = None,
        now: Callable[[], str] = utc_now,
    ) -> None:
        self._cluster = cluster
        self._observed = observed
        self._metrics = metrics
        self._image = image
        self._now = now
        self._children = Children(cluster, observed, metrics)
        self._announcer = Announcer(cluster)
        self._inquiry = inquiry
        self._own_namespace = own_namespace

    async def reconcile(self, key: ServiceKey) -> str:
        """Bring one service about; which of ``metrics.RESULTS`` it came to.

        Raises:
            ApiError: the API server could not be reached, or asked to come again.
        """
        body = self._observed.services.get(key)
        if body is None or body["metadata"].get("deletionTimestamp"):
            self._inquiry.forget(key)
            return "gone"  # its children go by their owner references
        try:
            service = Service.read(body)
        except InvalidService as error:
            return await self._give_up(_bare(body), error)
        pinned = pin(service, self._image)
        kserve = await self._has_kserve(service)
        made = plan(service, pinned, kserve=kserve, operator_namespace=self._own_namespace)
        try:
            check_names(made)
        except InvalidService as error:
            return await self._give_up(service, error)
        wanted = render(made)
        before = self._read(made, key, wanted)
        later = self._later(made, key, wanted, before)
        trouble, writes = await self._children.bring_about(
            key, service.uid, wanted, later, spared(before)
        )
        parts = self._observe(made, key, wanted)
        if later is not None:
            parts = (waiting(parts[0], parts), *parts[1:])
        url = self._url(made, key)
        status = verdict(made, parts, pinned, url, trouble, self._now())
        writes += await self._say(service, status)
        if trouble:
            return "failed"
        return "changed" if writes else "unchanged"

    async def _has_kserve(self, service: Service) -> bool:
        """Asked only where the answer decides."""
        decided = service.status.backend is not None or service.spec.backend != "Auto"
        return False if decided else await self._cluster.serves(INFERENCE_SERVICE)

    def _later(
        self,
        made: Plan,
        key: ServiceKey,
        wanted: tuple[Object, ...],
        parts: tuple[PartState, ...],
    ) -> Object | None:
        """What makes the pods of the front, while it is not its turn."""
        if not made.workers:
            return None
        body = next(each for each in wanted if _makes_front(each))
        live = self._observed.child(key, body["kind"], body["metadata"]["name"])
        before, now = (spec_hash(each, names.SPEC_HASH_ANNOTATION) for each in (live, body))
        return body if router_waits(parts, before, str(now)) else None

    def _read(
        self, made: Plan, key: ServiceKey, wanted: tuple[Object, ...]
    ) -> tuple[PartState, ...]:
        hashes = {
            each["metadata"]["labels"][names.PART_LABEL]: found
            for each in wanted
            if (found := spec_hash(each, names.SPEC_HASH_ANNOTATION)) is not None
        }
        return tuple(
            read_part(made, part, key, self._observed, hashes[part.place]) for part in made.parts
        )

    def _observe(
        self, made: Plan, key: ServiceKey, wanted: tuple[Object, ...]
    ) -> tuple[PartState, ...]:
        front, *workers = self._read(made, key, wanted)
        # Workers have no warmup of their own, and nobody but the router may reach them.
        behind = {str(each.part.role): each.serving for each in workers}
        servers = [
            Server(each.name, each.run, each.address, each.ready, behind)
            for each in front.pods
            if each.current and each.address
        ]
        told = self._inquiry.follow(key, made.service.model_name, servers)
        return with_telling(front, told), *workers

    def _url(self, made: Plan, key: ServiceKey) -> str | None:
        if not made.on_kserve(made.front):
            return address(made)
        found = self._observed.child(key, "InferenceService", made.front.name) or {}
        url = (found.get("status") or {}).get("url")
        return str(url) if url else made.service.status.url

    async def _give_up(self, service: Service, error: InvalidService) -> str:
        status = failed(service, Finding(error.reason, str(error)), self._now())
        await self._say(service, status)
        return "failed"

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
        except NotFound:
            return 0  # it is gone: the watch will tell
        self._observed.put(SERVICE, answer)
        self._metrics.writes.labels("status", SERVICE.name).inc()
        await self._announcer.announce(service, status)
        return 1


def _makes_front(body: Object) -> bool:
    return (
        body["metadata"]["labels"][names.PART_LABEL] == FRONT
        and spec_hash(body, names.SPEC_HASH_ANNOTATION) is not None
    )


def _bare(body: Object) -> Service:
    """The service without its spec, which cannot be read."""
    return Service.read({"metadata": body["metadata"], "status": body.get("status")})
