"""``monitoring.coreos.com/v1 PodMonitor``: one for all roles of a service."""

from ..api import names
from ..api.base import Object
from .metadata import child
from .plan import Plan
from .probes import HTTP_PORT_NAME


def pod_monitor(plan: Plan) -> Object:
    """A Prometheus finds it by its labels."""
    service = plan.service
    made = child(plan, plan.front, "monitoring.coreos.com/v1", "PodMonitor", service.name)
    own = service.spec.monitoring.labels
    made["metadata"]["labels"] = {**own, **made["metadata"]["labels"]}
    return {
        **made,
        "spec": {
            "selector": {"matchLabels": {names.SERVICE_LABEL: service.name}},
            "podTargetLabels": [names.ROLE_LABEL],
            "podMetricsEndpoints": [{"port": HTTP_PORT_NAME, "path": "/metrics"}],
        },
    }
