"""Bring the children of one service about: write what differs, delete what is no longer wanted,
leave alone what is somebody else's (C07, C08).
"""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Final

from .api import names
from .api.base import Object
from .api.kinds import BY_NAME, Kind
from .cluster import ApiError, Cluster, Conflict, Forbidden, NotFound, Refused, Unreachable
from .difference import must_apply
from .errors import ControllerError
from .logs import get_logger
from .metrics import Metrics
from .observed import Observed, ServiceKey
from .reasons import Finding

log = get_logger(__name__)


class Foreign(ControllerError):
    """An object of the name that we need, and not ours."""

    reason: ClassVar[str] = "Conflict"


# Errors that stay until somebody does something. A conflict that the API server tells of is none:
# somebody else was faster, and the next attempt may succeed.
LASTING: Final = (Foreign, Forbidden, Refused)


class Children:
    """``writes`` counts them, for tests and metrics."""

    def __init__(self, cluster: Cluster, observed: Observed, metrics: Metrics) -> None:
        self._cluster = cluster
        self._observed = observed
        self._metrics = metrics

    async def bring_about(
        self,
        key: ServiceKey,
        uid: str,
        wanted: Sequence[Object],
        later: Object | None = None,
        spared: Collection[str] = (),
    ) -> tuple[tuple[Finding, ...], int]:
        """What stood in the way, and how many writes it took. One child that fails keeps no other
        from being written. ``later``: the one of ``wanted`` that stays as it is for now.
        ``spared``: places whose children stay for now, though nothing wants them.

        Raises:
            Unreachable: the API server does not answer, or asks to come again later.
        """
        trouble: list[Finding] = []
        writes = 0
        for body in wanted:
            if body is later:
                continue
            try:
                writes += await self._write(key, uid, body)
            except NotFound as error:
                trouble.append(_missing(body, error))
            except LASTING as error:
                trouble.append(Finding(error.reason, str(error)))
            except (Conflict, Unreachable) as error:
                if isinstance(error, Unreachable) and not error.answered:
                    raise
                trouble.append(Finding("Retrying", str(error)))
        if not trouble:  # else something may be missing that the old children still stand for
            writes += await self._prune(key, uid, wanted, spared)
        return tuple(trouble), writes

    async def _write(self, key: ServiceKey, uid: str, body: Object) -> int:
        kind, name = BY_NAME[body["kind"]], body["metadata"]["name"]
        live = self._observed.child(key, kind.name, name)
        if live is None:
            try:
                made = await self._cluster.apply_new(kind, body)
                return self._written(key, kind, made, new=True)
            except Conflict:  # whoever made it did not label it as ours
                live = await self._cluster.get(kind, key.namespace, name)
        if live is not None:
            _check_owner(live, kind, uid)
            if not must_apply(body, live):
                self._observed.put(kind, live)
                return 0
        try:
            applied = await self._cluster.apply(kind, body)
        except Unreachable:
            self._observed.remove(kind, body)  # it may have been written: look before the next one
            raise
        return self._written(key, kind, applied, new=live is None)

    def _written(self, key: ServiceKey, kind: Kind, applied: Object, *, new: bool) -> int:
        self._observed.put(kind, applied)
        self._metrics.writes.labels("apply", kind.name).inc()
        name = applied["metadata"]["name"]
        log.info("applied", service=str(key), kind=kind.name, name=name, new=new)
        return 1

    async def _prune(
        self, key: ServiceKey, uid: str, wanted: Sequence[Object], spared: Collection[str]
    ) -> int:
        """Delete the children that an earlier spec made."""
        kept = {(each["kind"], each["metadata"]["name"]) for each in wanted}
        left = [
            (kind, body)
            for kind, body in self._observed.children(key)
            if (kind.name, body["metadata"]["name"]) not in kept
            and body["metadata"]["labels"].get(names.PART_LABEL) not in spared
            and controller_of(body).get("uid") == uid
            and not body["metadata"].get("deletionTimestamp")
        ]
        for kind, body in left:
            await self._cluster.delete(kind, body)
            self._metrics.writes.labels("delete", kind.name).inc()
            log.info("pruned", service=str(key), kind=kind.name, name=body["metadata"]["name"])
        return len(left)


def controller_of(body: Object) -> Object:
    """The owner that is responsible for it."""
    for each in body["metadata"].get("ownerReferences") or ():
        if each.get("controller"):
            found: Object = each
            return found
    return {}


def _check_owner(live: Object, kind: Kind, uid: str) -> None:
    owner: dict[str, Any] = controller_of(live)
    if owner.get("uid") == uid:
        return
    whose = f"{owner['kind']} {owner['name']}" if owner else "nobody, so it was made by hand"
    raise Foreign(
        f"{kind.name} {live['metadata']['name']} exists and belongs to {whose}; delete or rename "
        "it, or give this service another name"
    )


def _missing(body: Object, error: ApiError) -> Finding:
    """The kind itself, or the namespace, is not there."""
    if isinstance(error, NotFound) and error.names_object:
        return Finding("Refused", str(error))
    return Finding(
        "MissingApi",
        f"the cluster does not know {body['kind']} ({body['apiVersion']}), which this spec needs",
    )
