"""What people of KServe expect: its clients, its columns, its objects, and its runtimes."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.reached import check_picture, reached
from tests.cluster.support.started import (
    SMALL,
    START_SECONDS,
    Started,
    becoming_ready,
)
from tests.integration.support.clients import CLIENTS
from tests.integration.support.server import wait_until

ROOT = Path(__file__).parents[3]
RUNTIME_SAMPLE = ROOT / "manifests/runtimes/inferenceservice.yaml"
WEIGHTS = ROOT / "model/embedded/pipeline"
CLAIM = "weights"
PROMPT = "a fox on a blue background"
BACKGROUND = "blue"
KNOBS = {"num_inference_steps": 8}


@pytest.fixture(scope="module")
def fox(samples: dict[str, Started]) -> Started:
    return samples["KServe"]


@pytest.mark.parametrize("client", ["kserve REST", "kserve gRPC"])
def test_c04_kserves_own_clients_draw(fox: Started, client: str) -> None:
    with reached(fox.kubectl, fox.case.front, fox.case.name) as server:
        (picture,) = CLIENTS[client](server, [PROMPT], KNOBS, "").pictures
    check_picture(picture, BACKGROUND)


def test_c04_kubectl_get_isvc_shows_ready_and_the_url_that_the_status_has(fox: Started) -> None:
    header, row = fox.kubectl.run("get", "isvc", fox.case.name).splitlines()
    shown = dict(zip(header.split(), row.split(), strict=False))
    url = fox.kubectl.get("dsvc", fox.case.name)["status"]["url"]
    assert shown["NAME"] == fox.case.name
    assert shown["READY"] == "True"
    assert shown["URL"] == url
    assert url.startswith("http")


def test_c07_an_inference_service_that_somebody_deletes_comes_back_and_serves(
    fox: Started,
) -> None:
    kubectl, name = fox.kubectl, fox.case.name
    before = kubectl.get("isvc", name)["metadata"]["uid"]
    kubectl.run("delete", "isvc", name, "--wait=false")

    def another() -> bool:
        found = kubectl.find("isvc", name)
        return found is not None and found["metadata"]["uid"] != before

    wait_until(another, "the InferenceService is back", START_SECONDS)
    wait_until(lambda: _is_unready(kubectl, name), "the status says that it is not Ready", 60)
    becoming_ready(kubectl, name)
    with reached(kubectl, fox.case.front, name) as server:
        (picture,) = CLIENTS["kserve REST"](server, [PROMPT], KNOBS, "").pictures
    check_picture(picture, BACKGROUND)


@pytest.fixture
def claim(admin: Kubectl, kubectl: Kubectl, tmp_path: Path) -> Iterator[str]:
    """A volume with the embedded model as people keep weights: a diffusers folder."""
    folder = tmp_path / "weights"
    shutil.copytree(WEIGHTS, folder)
    folder.chmod(0o755)
    name = f"{CLAIM}-{kubectl.namespace}"
    shared: dict[str, Any] = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {**shared, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(folder)}},
    }
    asked = {**shared, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}}
    admin.apply(volume)
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": CLAIM},
            "spec": asked,
        }
    )
    yield f"pvc://{CLAIM}"
    admin.run("delete", "persistentvolume", name, "--wait=false")


def test_a_plain_inference_service_draws_with_our_runtime(kubectl: Kubectl, claim: str) -> None:
    body: dict[str, Any] = yaml.safe_load(RUNTIME_SAMPLE.read_text(encoding="utf-8"))
    name = body["metadata"]["name"]
    body["spec"]["predictor"]["model"] |= {
        "storageUri": claim,
        "args": ["--warmup-steps=2"],
        "resources": SMALL,
    }
    kubectl.apply(body)
    wait = ("--for=condition=Ready", f"isvc/{name}", f"--timeout={START_SECONDS:g}s")
    kubectl.run("wait", *wait, seconds=START_SECONDS + 10)
    # Nobody but KServe made it.
    assert kubectl.get("dsvc")["items"] == []
    with reached(kubectl, f"{name}-predictor", name) as server:
        (picture,) = CLIENTS["kserve REST"](server, [PROMPT], KNOBS, "").pictures
    check_picture(picture, BACKGROUND)


def _is_unready(kubectl: Kubectl, name: str) -> bool:
    conditions = kubectl.get("dsvc", name)["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] != "True" for each in conditions)
