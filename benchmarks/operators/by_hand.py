"""The partner: an operator for DiffusionServices as kopf's documentation teaches to write one.

Handlers of creation, update and resumption create each child, or patch it where it exists; children
are adopted; a timer repairs drift; the status comes from the Deployment's events. kopf keeps a
finalizer and what it has handled last on each service. The official client, typed and synchronous,
in kopf's threads. What is to be made comes from Kiln's own renderer, so that both make the same
objects: only how they are brought about differs.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import kopf
import kubernetes.client as k8s

from controller.desired.render import render
from controller.planning import pin, plan
from controller.service import Service

GROUP: Final = "kiln.dev"
VERSION: Final = "v1alpha1"
PLURAL: Final = "diffusionservices"
IMAGE: Final = "kiln-model:1"
EXISTS: Final = 409
PATCH: Final = "application/strategic-merge-patch+json"


def _calls() -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """How a child of each kind is created and patched."""
    core, apps, network, policy = (
        k8s.CoreV1Api(),
        k8s.AppsV1Api(),
        k8s.NetworkingV1Api(),
        k8s.PolicyV1Api(),
    )
    return {
        "Deployment": (apps.create_namespaced_deployment, apps.patch_namespaced_deployment),
        "Service": (core.create_namespaced_service, core.patch_namespaced_service),
        "NetworkPolicy": (
            network.create_namespaced_network_policy,
            network.patch_namespaced_network_policy,
        ),
        "PodDisruptionBudget": (
            policy.create_namespaced_pod_disruption_budget,
            policy.patch_namespaced_pod_disruption_budget,
        ),
    }


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    # An operator of one namespace may not look around in the cluster.
    settings.scanning.disabled = True


def bring_about(body: kopf.Body, patch: kopf.Patch) -> None:
    service = Service.read(dict(body))
    calls = _calls()
    for child in render(plan(service, pin(service, IMAGE), kserve=False)):
        del child["metadata"]["ownerReferences"]
        kopf.adopt(child, owner=body)
        name, namespace = child["metadata"]["name"], child["metadata"]["namespace"]
        create, change = calls[child["kind"]]
        try:
            create(namespace, child)
        except k8s.ApiException as error:
            if error.status != EXISTS:
                raise
            change(name, namespace, child, _content_type=PATCH)
    patch.status["observedGeneration"] = service.generation
    patch.status["url"] = f"http://{service.name}.{service.namespace}.svc"


@kopf.on.resume(GROUP, VERSION, PLURAL)
@kopf.on.create(GROUP, VERSION, PLURAL)
@kopf.on.update(GROUP, VERSION, PLURAL)
def changed(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
    bring_about(body, patch)


def drifted(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
    """For the timer, whose interval the command line says."""
    bring_about(body, patch)


@kopf.on.event("apps", "v1", "deployments", labels={"kiln.dev/service": kopf.PRESENT})
def tell(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002
    if type == "DELETED":
        return
    wanted = body.spec.get("replicas", 1)
    ready = body.status.get("readyReplicas", 0)
    status = {
        "phase": "Ready" if ready == wanted else "Pending",
        "replicas": wanted,
        "readyReplicas": ready,
    }
    try:
        k8s.CustomObjectsApi().patch_namespaced_custom_object_status(
            GROUP, VERSION, str(body.metadata.namespace), PLURAL,
            body.metadata.labels["kiln.dev/service"], {"status": status},
            _content_type="application/merge-patch+json",
        )  # fmt: skip
    except k8s.ApiException as error:
        if error.status != 404:  # it is being deleted, and its Deployment after it
            raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it until a signal comes. The cluster is that of $KUBECONFIG."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operators.by_hand")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--port", type=int, required=True, help="of /healthz")
    parser.add_argument("--resync", type=float, required=True, help="seconds")
    given = parser.parse_args(arguments)
    kopf.configure()
    repair = kopf.timer(GROUP, VERSION, PLURAL, interval=given.resync, initial_delay=given.resync)
    repair(drifted)
    kopf.run(
        standalone=True,
        namespaces=[given.namespace],
        liveness_endpoint=f"http://127.0.0.1:{given.port}/healthz",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
