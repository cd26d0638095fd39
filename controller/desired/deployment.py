"""``apps/v1 Deployment``: the front without KServe, and every worker role."""

from ..api.base import Object
from ..api.spec import Rollout
from .metadata import child, selector
from .plan import Part, Plan
from .pod import pod_template
from .probes import progress_deadline

STRATEGIES = {
    Rollout.SURGE: {"maxSurge": 1, "maxUnavailable": 0},
    Rollout.RESOURCE_AWARE: {"maxSurge": 0, "maxUnavailable": 1},
}


def deployment(plan: Plan, part: Part) -> Object:
    """Without ``replicas`` where somebody else decides them."""
    return {
        **child(plan, part, "apps/v1", "Deployment", part.name),
        "spec": {
            **replicas(plan, part),
            "selector": {"matchLabels": selector(plan.service, part)},
            "strategy": strategy(plan, part),
            "progressDeadlineSeconds": progress_deadline(plan),
            "template": pod_template(plan, part),
        },
    }


def replicas(plan: Plan, part: Part) -> Object:
    """C12: none while suspended."""
    if plan.service.spec.suspend:
        return {"replicas": 0}
    workload = part.workload
    if workload.scaling is not None or workload.replicas is None:
        return {}
    return {"replicas": workload.replicas}


def strategy(plan: Plan, part: Part) -> Object:
    """C16: with Surge, old pods serve until new ones are Ready."""
    return {"type": "RollingUpdate", "rollingUpdate": dict(STRATEGIES[plan.rollout(part)])}
