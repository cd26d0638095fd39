"""``policy/v1 PodDisruptionBudget``: nodes are drained pod by pod."""

from ..api.base import Object
from .metadata import child, selector
from .plan import Part, Plan


def pod_disruption_budget(plan: Plan, part: Part) -> Object:
    """maxUnavailable, not minAvailable: the latter would block the drain of a lone pod for ever."""
    return {
        **child(plan, part, "policy/v1", "PodDisruptionBudget", part.name),
        "spec": {
            "maxUnavailable": plan.service.spec.pod_disruption_budget.max_unavailable,
            "selector": {"matchLabels": selector(plan.service, part)},
        },
    }
