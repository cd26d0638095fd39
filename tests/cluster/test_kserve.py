"""KServe's manager does to an InferenceService what our rendering relies on, and what it avoids."""

from typing import Any

import pytest

from tests.cluster.support.kubectl import Kubectl
from tests.integration.support.server import wait_until

pytestmark = pytest.mark.usefixtures("kserve")

PORT = 8080
PROBES: dict[str, Any] = {
    "startupProbe": {
        "httpGet": {"path": "/v2/health/ready", "port": PORT, "scheme": "HTTP"},
        "failureThreshold": 124,
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 2,
    },
    "readinessProbe": {
        "httpGet": {"path": "/v2/health/ready", "port": PORT, "scheme": "HTTP"},
        "failureThreshold": 2,
        "periodSeconds": 5,
        "successThreshold": 1,
        "timeoutSeconds": 2,
    },
    "livenessProbe": {
        "httpGet": {"path": "/v2/health/live", "port": PORT, "scheme": "HTTP"},
        "failureThreshold": 3,
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 2,
    },
}
RESOURCES = {
    "requests": {"cpu": "2", "memory": "12Gi"},
    "limits": {"cpu": "4", "memory": "16Gi"},
}
WORKLOAD = "fox-predictor"


def inference_service(name: str = "fox", **container: Any) -> dict[str, Any]:
    """With a custom predictor, which KServe takes as it is given, or so it says."""
    whole = {
        "name": "kserve-container",
        "image": "kiln.dev/model:1",
        "args": ["serve", "--warmup", "server"],
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        **container,
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": {"minReplicas": 1, "containers": [whole]}},
    }


def rendered_container(kubectl: Kubectl) -> dict[str, Any]:
    """The predictor's container in the Deployment that KServe's manager makes."""
    deployment = kubectl.appearing("deployment", WORKLOAD)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def pods(kubectl: Kubectl) -> list[dict[str, Any]]:
    """The predictor's pods, as the API server keeps them."""
    return list(kubectl.get("pods", "--selector=serving.kserve.io/inferenceservice=fox")["items"])


def test_c03_probes_reach_the_pods_as_they_were_given(kubectl: Kubectl) -> None:
    kubectl.apply(inference_service(**PROBES))
    container = rendered_container(kubectl)
    assert {name: container[name] for name in PROBES} == PROBES


def test_c03_without_probes_kserve_is_content_with_an_open_port(kubectl: Kubectl) -> None:
    """The trap: a server that listens while it warms up would be Ready cold."""
    kubectl.apply(inference_service())
    container = rendered_container(kubectl)
    assert container["readinessProbe"]["tcpSocket"] == {"port": PORT}
    assert "startupProbe" not in container
    assert "livenessProbe" not in container


def test_c04_deployment_and_service_are_made_and_owned(kubectl: Kubectl) -> None:
    kubectl.apply(inference_service(**PROBES, resources=RESOURCES))
    container = rendered_container(kubectl)
    assert container["args"] == ["serve", "--warmup", "server"]
    assert container["resources"] == RESOURCES
    service = kubectl.appearing("service", WORKLOAD)
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, PORT)
    owner = kubectl.get("inferenceservice", "fox")["metadata"]["uid"]
    for kind in ("deployment", "service"):
        references = kubectl.get(kind, WORKLOAD)["metadata"]["ownerReferences"]
        assert [each["uid"] for each in references] == [owner]


def test_c04_a_pod_is_made_and_waits_for_a_node(kubectl: Kubectl) -> None:
    kubectl.apply(inference_service(**PROBES))
    (pod,) = wait_until(lambda: pods(kubectl), "KServe's Deployment has a pod", 30)
    assert "nodeName" not in pod["spec"]


def test_c04_kserves_own_downloader_is_put_before_the_server(kubectl: Kubectl) -> None:
    """By its webhook for pods, which sees what KServe's Deployment asks for."""
    source = {"name": "STORAGE_URI", "value": "hf://kiln/fox"}
    kubectl.apply(inference_service(**PROBES, env=[source]))
    (pod,) = wait_until(lambda: pods(kubectl), "KServe's Deployment has a pod", 30)
    (downloader,) = pod["spec"]["initContainers"]
    assert downloader["name"] == "storage-initializer"
    assert downloader["args"] == ["hf://kiln/fox", "/mnt/models"]


def test_c04_without_resources_the_webhook_sets_a_memory_limit_that_no_model_fits(
    kubectl: Kubectl,
) -> None:
    """The trap: a pod that asks for nothing is killed at 2 GiB."""
    kubectl.apply(inference_service())
    spec = kubectl.get("inferenceservice", "fox")["spec"]
    (container,) = spec["predictor"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "2Gi"}


def test_c14_the_webhook_refuses_a_name_that_kserve_cannot_use(kubectl: Kubectl) -> None:
    said = kubectl.refuses(inference_service(name="1fox"))
    assert "inferenceservice.kserve-webhook-server.validator" in said
    assert "1fox" in said


def test_c07_everything_goes_with_the_inference_service(kubectl: Kubectl) -> None:
    kubectl.apply(inference_service(**PROBES))
    kubectl.appearing("service", WORKLOAD)
    kubectl.run("delete", "inferenceservice", "fox")
    kubectl.vanishing("deployment", WORKLOAD)
    kubectl.vanishing("service", WORKLOAD)
