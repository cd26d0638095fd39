"""The pod: everything that Deployments and InferenceServices share."""

import hashlib
import json
from typing import Any, Final

from ..api import names
from ..api.base import Object
from ..api.template import Template
from . import between_roles
from .containers import fetch, server
from .metadata import labels
from .plan import Part, Plan
from .probes import grace_period
from .storage import CACHE_VOLUME, storage

RESTRICTED_POD: Final = {
    "runAsNonRoot": True,
    "fsGroup": 1000,
    # Without it, each start of a pod would walk over all weights of its volume.
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
# Fields of the template that go into the pod as they are.
PASSED_ON: Final = (
    "node_selector",
    "tolerations",
    "affinity",
    "topology_spread_constraints",
    "service_account_name",
    "priority_class_name",
    "runtime_class_name",
    "scheduler_name",
)


def pod_template(plan: Plan, part: Part) -> Object:
    """Metadata and spec. The annotation names what both were made of, so that a pod tells whether
    it is of the newest.
    """
    template = part.workload.template
    spec = pod_spec(plan, part)
    made = {**template.labels, **labels(plan.service, part)}
    digest = _digest([made, dict(template.annotations), spec])
    return {
        "metadata": {
            "labels": made,
            "annotations": {**template.annotations, names.SPEC_HASH_ANNOTATION: digest},
        },
        "spec": spec,
    }


def pod_spec(plan: Plan, part: Part) -> Object:
    """Fits Pod Security's restricted profile (C13), unless the template says otherwise."""
    template = part.workload.template
    found = storage(plan, part)
    init_containers = fetch(plan, part)
    pull_secrets = _pull_secrets(template, found.pull_secret)
    return {
        # Service links would come as KILN_... variables, which the server takes for settings.
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": grace_period(plan),
        "securityContext": {**RESTRICTED_POD, **(template.security_context or {})},
        **({"initContainers": init_containers} if init_containers else {}),
        "containers": [server(plan, part)],
        "volumes": [
            _cache(plan),
            {"name": "tmp", "emptyDir": {}},
            {
                "name": "shm",
                "emptyDir": {"medium": "Memory", "sizeLimit": plan.defaults.shared_memory},
            },
            *found.volumes,
            *between_roles.volumes(plan),
            *template.volumes,
        ],
        **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
        **_passed_on(template),
    }


def _cache(plan: Plan) -> Object:
    cache = plan.service.spec.cache
    if cache.persistent_volume_claim is not None:
        claim = {"claimName": cache.persistent_volume_claim.claim_name}
        return {"name": CACHE_VOLUME, "persistentVolumeClaim": claim}
    limit = cache.empty_dir.size_limit if cache.empty_dir else None
    return {"name": CACHE_VOLUME, "emptyDir": {"sizeLimit": str(limit)} if limit else {}}


def _pull_secrets(template: Template, model_secret: str | None) -> list[Object]:
    several = [*template.image_pull_secrets, *([{"name": model_secret}] if model_secret else [])]
    return [each for place, each in enumerate(several) if each not in several[:place]]


def _passed_on(template: Template) -> Object:
    fields = template.model_dump(mode="json", by_alias=True, include=set(PASSED_ON))
    return {name: value for name, value in fields.items() if value}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
