"""What KServe's manager needs in a cluster, read from KServe's own files and changed where it must.

Changed: Standard mode, because Knative is not here; no Ingress, because nobody would serve it; and
the webhooks, which are reached on the loopback rather than through a Service.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from . import kubectl
from .credentials import base64_of
from .layout import HOST, Layout

NAMESPACE = "kserve"

# What the manager serves or watches: without one of them it ends at once.
DEFINITIONS = (
    *(
        f"crd/full/serving.kserve.io_{plural}.yaml"
        for plural in (
            "inferenceservices",
            "servingruntimes",
            "clusterservingruntimes",
            "trainedmodels",
            "inferencegraphs",
        )
    ),
    "crd/full/clusterstoragecontainer/serving.kserve.io_clusterstoragecontainers.yaml",
)

# Key of the ConfigMap -> what differs from the text that KServe ships there.
CONFIGURATION: Mapping[str, Mapping[str, Any]] = {
    "deploy": {"defaultDeploymentMode": "Standard"},
    "ingress": {"disableIngressCreation": True, "disableIstioVirtualHost": True},
}


def install(layout: Layout) -> None:
    """Everything but the manager itself, which ends at once when something of this is missing."""
    config = layout.built["kserve"] / "config"
    kubectl.apply_files(layout, [config / name for name in DEFINITIONS])
    kubectl.apply(
        layout,
        [
            namespace(),
            configuration(config),
            *_objects(config / "storagecontainers", "ClusterStorageContainer"),
            *webhooks(config, layout),
        ],
    )


def namespace() -> dict[str, Any]:
    """The label keeps KServe's own pods from its pod webhook."""
    labels = {"control-plane": "kserve-controller-manager"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": labels},
    }


def configuration(config: Path) -> dict[str, Any]:
    """KServe's ConfigMap with ``CONFIGURATION`` laid over it, and without its long example."""
    (shipped,) = _objects(config / "configmap", "ConfigMap")
    data = {name: text for name, text in shipped["data"].items() if name != "_example"}
    for name, changes in CONFIGURATION.items():
        data[name] = json.dumps({**json.loads(data[name]), **changes})
    metadata = {**shipped["metadata"], "namespace": NAMESPACE}
    return {**shipped, "metadata": metadata, "data": data}


def webhooks(config: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """KServe's webhook configurations, with each service replaced by an address."""
    authority = base64_of(layout.authority.read_bytes())
    address = f"https://{HOST}:{layout.ports['kserve-webhook']}"
    folder = config / "webhook"
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for each in _objects(folder, kind):
            for webhook in each["webhooks"]:
                path = webhook["clientConfig"]["service"]["path"]
                webhook["clientConfig"] = {"url": f"{address}{path}", "caBundle": authority}
            yield {**each, "metadata": {"name": each["metadata"]["name"]}}


def _objects(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    """All objects of one kind in the folder's files."""
    for file in sorted(folder.glob("*.yaml")):
        for each in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if each and each.get("kind") == kind:
                yield each
