"""``kubectl scale`` and autoscalers work on a DiffusionService as on a Deployment, and no pod that
they bring is reached cold.
"""

from typing import Any

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.started import START_SECONDS, Started, becoming_ready
from tests.cluster.support.witness import OK, check_pod
from tests.integration.support.server import wait_until


def autoscaler(name: str, least: int, most: int) -> dict[str, Any]:
    """Somebody's own, without metrics: it holds the number within its bounds."""
    target = {"apiVersion": "kiln.dev/v1alpha1", "kind": "DiffusionService", "name": name}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "bounds"},
        "spec": {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most},
    }


def test_c06_an_autoscaler_and_kubectl_scale_and_the_second_pod_is_warm_before_it_is_reached(
    samples: dict[str, Started],
) -> None:
    hare = samples["Deployment"]
    kubectl, name = hare.kubectl, hare.case.name
    kubectl.apply(autoscaler(name, least=2, most=3))
    wait_until(lambda: ready(kubectl, name) == "2/2", "two pods are Ready", START_SECONDS)
    becoming_ready(kubectl, name)
    (second,) = set(hare.witness.addresses) - {hare.pod}
    wait_until(
        lambda: hare.witness.ready_endpoint_at(hare.witness.addresses[second]) < float("inf"),
        "the second pod is reached",
        60,
    )
    check_pod(hare.witness, kubectl, second)
    host = hare.witness.front_host
    assert host
    assert {each.status for each in hare.witness.answers_of(host)} == {0, OK}
    kubectl.run("delete", "horizontalpodautoscaler", "bounds")
    kubectl.run("scale", f"dsvc/{name}", "--replicas=1")
    wait_until(lambda: ready(kubectl, name) == "1/1", "one pod is left", START_SECONDS)
    wait_until(lambda: len(living(kubectl, name)) == 1, "the other one is gone", START_SECONDS)
    becoming_ready(kubectl, name)


def ready(kubectl: Kubectl, name: str) -> str:
    return str(kubectl.get("dsvc", name)["status"]["ready"])


def living(kubectl: Kubectl, name: str) -> list[Any]:
    return list(kubectl.get("pods", "--selector", f"kiln.dev/service={name}")["items"])
