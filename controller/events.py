"""Events of Kubernetes: one where the reason of Ready becomes another, and none else."""

import secrets
from datetime import UTC, datetime
from typing import Final

from .api import names
from .api.status import ConditionStatus, Status
from .cluster import ApiError, Cluster
from .logs import get_logger
from .reasons import REASONS
from .service import Service

log = get_logger(__name__)

REPORTER: Final = "kiln.dev/operator"
LONGEST_NOTE: Final = 1024


class Announcer:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def announce(self, service: Service, after: Status) -> None:
        """Nothing depends on an event: one that cannot be written is logged."""
        before, now = ready_of(service.status), ready_of(after)
        if now is None or (before is not None and before.reason == now.reason):
            return
        log.info("transition", service=f"{service.namespace}/{service.name}",
                 before=before.reason if before else None, now=now.reason,
                 message=now.message)  # fmt: skip
        try:
            await self._cluster.post_event(service.namespace, _event(service, now))
        except ApiError as error:
            log.warning("event_not_written", reason=str(error))


def ready_of(status: Status) -> ConditionStatus | None:
    return next((each for each in status.conditions or () if each.type == "Ready"), None)


def _event(service: Service, ready: ConditionStatus) -> dict[str, object]:
    known = REASONS[ready.reason]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{service.name}.{secrets.token_hex(8)}",
            "namespace": service.namespace,
        },
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": "Warning" if known.stalled else "Normal",
        "reason": ready.reason,
        "action": "Reconcile",
        "note": (ready.message or known.meaning)[:LONGEST_NOTE],
        "reportingController": REPORTER,
        "reportingInstance": names.FIELD_MANAGER,
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": service.namespace,
            "name": service.name,
            "uid": service.uid,
        },
    }
