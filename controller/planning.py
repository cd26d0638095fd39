"""What is pinned for a service, and the backend that Auto stands for (C09).

The pins live in the status: they were chosen when this spec was first seen, and hold until it
changes. The number of pods is no such change: to scale a service must not bring new defaults into
its pods.
"""

import hashlib
import json
from typing import Final

from .api.spec import Backend
from .api.status import Pinned
from .desired.defaults import LATEST, REVISIONS
from .desired.plan import Plan, Target
from .service import Service

COUNTED: Final = {"replicas", "scaling", "suspend"}


def pin(service: Service, image: str) -> Pinned:
    """The pin that the service has, or a new one where its spec has changed."""
    digest = spec_digest(service)
    before = service.status.pinned
    if before is not None and before.spec == digest and before.defaults in REVISIONS:
        return before
    return Pinned(spec=digest, defaults=LATEST, image=image)


def spec_digest(service: Service) -> str:
    """Of what is said. Fields at their defaults are left out, so that a field that a later operator
    adds does not look like a change.
    """
    said = service.spec.model_dump(mode="json", exclude_defaults=True, exclude=COUNTED)
    for role in (said.get("roles") or {}).values():
        for field in COUNTED:
            role.pop(field, None)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def plan(
    service: Service, pinned: Pinned, *, kserve: bool, operator_namespace: str | None = None
) -> Plan:
    """``kserve``: whether the cluster has it."""
    chosen = target(service, kserve=kserve)
    defaults = REVISIONS[pinned.defaults]
    return Plan(service, chosen, defaults, pinned.image, operator_namespace)


def target(service: Service, *, kserve: bool) -> Target:
    """Auto is decided once: that KServe comes or goes must not move a service that runs."""
    asked, before = service.spec.backend, service.status.backend
    if asked is Backend.AUTO and before not in (None, Backend.AUTO):
        asked = before
    if asked is Backend.AUTO:
        return Target.KSERVE if kserve else Target.DEPLOYMENT
    return Target(str(asked))
