"""Every numbered sample can be applied as it is, and the operator makes of it what it says."""

from pathlib import Path

import pytest
import yaml

from controller.reasons import REASONS
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

SAMPLES = sorted((Path(__file__).parents[3] / "manifests/samples").glob("*.yaml"))
# Of these, nothing is wrong with the sample: its software, or its image, is not here.
LACKING = {"MissingApi"}


@pytest.mark.parametrize("path", SAMPLES, ids=[path.stem for path in SAMPLES])
def test_a_sample_can_be_applied_and_comes_up(
    kubectl: Kubectl, services: Services, operator: OperatorProcess, path: Path
) -> None:
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    name = body["metadata"]["name"]
    kubectl.run("apply", "-f", str(path))
    wait_until(lambda: services.condition(name, "Ready"), f"{name} is seen")
    roles = [each["name"] for each in services.status(name)["roles"]]
    found = 0
    for role in roles:
        workload = body["spec"] if role in ("monolithic", "router") else body["spec"]["roles"][role]
        found += len(services.pods(name, role, workload.get("replicas", 1)))
    assert found == sum(each["replicas"] for each in services.status(name)["roles"])
    reason = services.condition(name, "Ready")["reason"]
    assert not REASONS[reason].stalled or reason in LACKING


def test_the_samples_are_those_that_the_guide_names() -> None:
    guide = (SAMPLES[0].parents[2] / "docs/operator.md").read_text(encoding="utf-8")
    assert all(f"[{path.stem}](../manifests/samples/{path.name})" in guide for path in SAMPLES)
