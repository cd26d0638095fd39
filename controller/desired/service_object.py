"""``v1 Service``: the front's address without KServe, and the names by which a router finds its
workers.
"""

from model.contract.flags import GRPC_PORT

from ..api.base import Object
from .metadata import child, selector
from .plan import Part, Plan
from .probes import HTTP_PORT_NAME

PUBLIC_PORT = 80


def service(plan: Plan, part: Part) -> Object:
    """Workers' Services are headless: the router chooses among the pods itself."""
    return {
        **child(plan, part, "v1", "Service", part.name),
        "spec": {
            **({} if part.is_front else {"clusterIP": "None"}),
            "type": "ClusterIP",
            "selector": selector(plan.service, part),
            "ports": [
                {
                    "name": HTTP_PORT_NAME,
                    "port": PUBLIC_PORT,
                    "targetPort": HTTP_PORT_NAME,
                    "protocol": "TCP",
                    "appProtocol": "http",
                },
                {
                    "name": "grpc",
                    "port": GRPC_PORT,
                    "targetPort": "grpc",
                    "protocol": "TCP",
                    "appProtocol": "kubernetes.io/h2c",
                },
            ],
        },
    }


def address(plan: Plan) -> str:
    """Where the front answers inside the cluster."""
    return f"http://{plan.front.name}.{plan.service.namespace}.svc"
