"""Names, labels, owners: what ties the children of a service together."""

from typing import Final

from ..api import names
from ..api.base import Object
from ..service import Service
from .plan import Part, Plan

MANAGER: Final = "kiln"


def selector(service: Service, part: Part) -> dict[str, str]:
    """Labels that choose the pods of one role. They never change: a Deployment's selector
    cannot.
    """
    return {names.SERVICE_LABEL: service.name, names.PART_LABEL: part.place}


def labels(service: Service, part: Part) -> dict[str, str]:
    """Of every child."""
    return {
        "app.kubernetes.io/name": "kiln",
        "app.kubernetes.io/instance": service.name,
        "app.kubernetes.io/component": str(part.role),
        "app.kubernetes.io/managed-by": MANAGER,
        names.ROLE_LABEL: str(part.role),
        **selector(service, part),
    }


def child(plan: Plan, part: Part, api_version: str, kind: str, name: str) -> Object:
    """A child without its spec. Kubernetes deletes it after its owner is gone (C07)."""
    service = plan.service
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": service.namespace,
            "labels": labels(service, part),
            **({"ownerReferences": [owner(service)]} if service.uid else {}),
        },
    }


def owner(service: Service) -> Object:
    """Without blockOwnerDeletion, which would need a right on the owner's finalizers."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": service.name,
        "uid": service.uid,
        "controller": True,
    }
