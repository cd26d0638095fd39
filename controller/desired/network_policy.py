"""``networking.k8s.io/v1 NetworkPolicy``: workers are reachable from their router only (C13)."""

from model.contract.flags import GRPC_PORT, HTTP_PORT

from ..api import names
from ..api.base import Object
from .metadata import child, selector
from .plan import Part, Plan


def network_policy(plan: Plan, part: Part) -> Object:
    """Only the two ports are open. Kubelets reach their own pods' probes in any case, and the
    operator may ask the front for its warmup.
    """
    ports = [{"port": port, "protocol": "TCP"} for port in (HTTP_PORT, GRPC_PORT)]
    peers = _peers(plan, part)
    return {
        **child(plan, part, "networking.k8s.io/v1", "NetworkPolicy", part.name),
        "spec": {
            "podSelector": {"matchLabels": selector(plan.service, part)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"ports": ports, **({"from": peers} if peers else {})},
                *(_of_the_operator(plan) if peers and part.is_front else ()),
                *(_of_scrapers(plan) if peers else ()),
            ],
        },
    }


def _of_scrapers(plan: Plan) -> list[Object]:
    """Only those that are named: what else is on that port is not for everyone."""
    peers = list(plan.service.spec.monitoring.from_)
    return [{"ports": [{"port": HTTP_PORT, "protocol": "TCP"}], "from": peers}] if peers else []


def _of_the_operator(plan: Plan) -> list[Object]:
    if plan.operator_namespace is None:
        return []
    peer = {
        "namespaceSelector": {"matchLabels": {names.NAMESPACE_LABEL: plan.operator_namespace}},
        "podSelector": {"matchLabels": names.OPERATOR_LABELS},
    }
    return [{"ports": [{"port": HTTP_PORT, "protocol": "TCP"}], "from": [peer]}]


def _peers(plan: Plan, part: Part) -> list[Object]:
    """None of them means everyone."""
    if part.is_front:
        return list(plan.service.spec.network_policy.from_)
    return [{"podSelector": {"matchLabels": selector(plan.service, plan.front)}}]
