"""C14: what tests/contract/refused.yaml says that an API server refuses, a real one refuses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.services import Services

ROOT = Path(__file__).parents[3]
CASES = yaml.safe_load((ROOT / "tests/contract/refused.yaml").read_text(encoding="utf-8"))
SERVICES = sorted((ROOT / "tests/contract/services").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=[each["case"] for each in CASES])
def test_c14_the_api_server_refuses_it_in_these_words(
    services: Services, kubectl: Kubectl, case: dict[str, Any]
) -> None:
    body = services.body(case.get("name", "x"), **case["spec"])
    said = kubectl.refused(
        "create", "--dry-run=server", "--validate=strict", "-f", "-", text=yaml.safe_dump(body)
    )
    assert case["says"] in said


@pytest.mark.parametrize("path", SERVICES, ids=[path.stem for path in SERVICES])
def test_c14_the_api_server_accepts_what_we_render(kubectl: Kubectl, crd: None, path: Path) -> None:
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    body["metadata"] = {"name": body["metadata"]["name"], "namespace": kubectl.namespace}
    kubectl.run(
        "create", "--dry-run=server", "--validate=strict", "-f", "-", text=yaml.safe_dump(body)
    )


def test_c14_defaults_are_stored(services: Services, kubectl: Kubectl) -> None:
    kubectl.apply(services.body("fox"))
    found = services.get("fox")
    assert found["spec"]["warmup"]["mode"] == "Server"
    assert found["spec"]["replicas"] == 1
    assert found["status"] == {"observedGeneration": -1}
