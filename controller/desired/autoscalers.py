"""What scales the pods. One of two: KEDA where ``scaling.prometheus`` says from where, else the
cluster's own autoscaler. Neither exists while the service is suspended: it would wake it.
"""

from typing import Final

from ..api.base import Object, seconds
from ..api.scaling import Scaling, ScalingMetric
from .metadata import child
from .plan import Part, Plan

# The server's metrics, as Prometheus has them. A test asks the server for them.
METRICS: Final = {
    ScalingMetric.QUEUE_DEPTH: "kiln_queue_depth",
    ScalingMetric.IN_FLIGHT: "kiln_requests_in_flight",
}


def horizontal_pod_autoscaler(plan: Plan, part: Part, scaling: Scaling) -> Object:
    """``autoscaling/v2 HorizontalPodAutoscaler``."""
    return {
        **child(plan, part, "autoscaling/v2", "HorizontalPodAutoscaler", part.name),
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": plan.deployment_name(part),
            },
            "minReplicas": scaling.min,
            "maxReplicas": scaling.max,
            "metrics": [_metric(scaling)],
            "behavior": _behaviour(scaling),
        },
    }


def scaled_object(plan: Plan, part: Part, scaling: Scaling, server_address: str) -> Object:
    """``keda.sh/v1alpha1 ScaledObject``."""
    return {
        **child(plan, part, "keda.sh/v1alpha1", "ScaledObject", part.name),
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": plan.deployment_name(part)},
            "minReplicaCount": scaling.min,
            "maxReplicaCount": scaling.max,
            "cooldownPeriod": seconds(scaling.cooldown),
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behaviour(scaling)}},
            "triggers": [
                {
                    "type": "prometheus",
                    "metadata": {
                        "serverAddress": server_address,
                        "query": _query(plan, part, METRICS[scaling.metric]),
                        "threshold": str(scaling.target),
                    },
                }
            ],
        },
    }


def _metric(scaling: Scaling) -> Object:
    if scaling.metric is ScalingMetric.CPU:
        target: Object = {"type": "Utilization", "averageUtilization": scaling.target}
        return {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    target = {"type": "AverageValue", "averageValue": str(scaling.target)}
    name = {"name": METRICS[scaling.metric]}
    return {"type": "Pods", "pods": {"metric": name, "target": target}}


def _behaviour(scaling: Scaling) -> Object:
    return {"scaleDown": {"stabilizationWindowSeconds": seconds(scaling.cooldown)}}


def _query(plan: Plan, part: Part, metric: str) -> str:
    """Only pods of this Deployment: a hash and a suffix follow its name, and no further hyphen."""
    pods = f"{plan.deployment_name(part)}-[a-z0-9]+-[a-z0-9]+"
    return f'sum({metric}{{namespace="{plan.service.namespace}",pod=~"{pods}"}})'
