"""KServe's own files go into the cluster with the few changes that it needs, and no others."""

import json
from pathlib import Path

import pytest
import yaml

from tools.cluster import kserve
from tools.cluster.layout import Layout

SHIPPED = {
    "_example": "long",
    "deploy": '{"defaultDeploymentMode": "Serverless", "rollout": "slow"}',
    "ingress": '{"ingressGateway": "a/b", "disableIngressCreation": false}',
    "agent": '{"image": "agent:1"}',
}
WEBHOOK = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingWebhookConfiguration",
    "metadata": {"name": "inferenceservice", "creationTimestamp": None},
    "webhooks": [
        {
            "name": "defaulter",
            "failurePolicy": "Fail",
            "clientConfig": {"service": {"name": "x", "namespace": "y", "path": "/mutate"}},
        }
    ],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The two files as KServe has them, shortened."""
    config_map = {"kind": "ConfigMap", "metadata": {"name": "inferenceservice-config"}}
    for name, content in (
        ("configmap", {**config_map, "data": SHIPPED}),
        ("webhook", WEBHOOK),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "objects.yaml").write_text(f"{yaml.safe_dump(content)}---\n")
        (folder / "kustomization.yaml").write_text("kind: Kustomization\n")
    return tmp_path


def test_configuration_differs_only_in_what_is_not_here(config: Path) -> None:
    found = kserve.configuration(config)
    assert found["metadata"] == {"name": "inferenceservice-config", "namespace": "kserve"}
    assert {name: json.loads(text) for name, text in found["data"].items()} == {
        "deploy": {"defaultDeploymentMode": "Standard", "rollout": "slow"},
        "ingress": {
            "ingressGateway": "a/b",
            "disableIngressCreation": True,
            "disableIstioVirtualHost": True,
        },
        "agent": {"image": "agent:1"},
    }


def test_webhooks_are_reached_on_the_loopback_and_checked(config: Path, layout: Layout) -> None:
    layout.authority.write_bytes(b"certificate")
    (found,) = kserve.webhooks(config, layout)
    (webhook,) = found["webhooks"]
    assert webhook["clientConfig"] == {
        "url": f"https://127.0.0.1:{layout.ports['kserve-webhook']}/mutate",
        "caBundle": "Y2VydGlmaWNhdGU=",
    }
    assert webhook["failurePolicy"] == "Fail"
    assert found["metadata"] == {"name": "inferenceservice"}
