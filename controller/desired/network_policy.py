"""``networking.k8s.io/v1 NetworkPolicy``: workers are reachable from their router only (C13)."""

from model.contract.flags import GRPC_PORT, HTTP_PORT

from ..api.base import Object
from .metadata import child, selector
from .plan import Part, Plan


def network_policy(plan: Plan, part: Part) -> Object:
    """Only the two ports are open. Kubelets reach their own pods' probes in any case."""
    ports = [{"port": port, "protocol": "TCP"} for port in (HTTP_PORT, GRPC_PORT)]
    peers = _peers(plan, part)
    return {
        **child(plan, part, "networking.k8s.io/v1", "NetworkPolicy", part.name),
        "spec": {
            "podSelector": {"matchLabels": selector(plan.service, part)},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": ports, **({"from": peers} if peers else {})}],
        },
    }


def _peers(plan: Plan, part: Part) -> list[Object]:
    """None of them means everyone."""
    if part.is_front:
        return list(plan.service.spec.network_policy.from_)
    return [{"podSelector": {"matchLabels": selector(plan.service, plan.front)}}]
