"""KServe serves the model format ``diffusers`` with our runtime, and without our operator."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.support.kubectl import Kubectl
from tools.reference.serving_runtime import NAME, serving_runtime

pytestmark = pytest.mark.usefixtures("kserve", "runtime")

RUNTIMES = Path(__file__).parents[3] / "manifests/runtimes"
KEPT = ("startupProbe", "readinessProbe", "livenessProbe", "command", "securityContext")


@pytest.fixture
def runtime(admin: Kubectl) -> None:
    admin.run("apply", "--server-side", "-k", str(RUNTIMES))


def sample() -> dict[str, Any]:
    """The one that ships."""
    found: dict[str, Any] = yaml.safe_load((RUNTIMES / "inferenceservice.yaml").read_text())
    return found


def rendered(kubectl: Kubectl) -> dict[str, Any]:
    """The pod that KServe's manager asks for."""
    found: dict[str, Any] = kubectl.appearing("deployment", "painter-predictor")
    return dict(found["spec"]["template"]["spec"])


@pytest.mark.parametrize("named", [True, False], ids=["by name", "by format"])
def test_an_inference_service_gets_our_server(kubectl: Kubectl, named: bool) -> None:
    body = sample()
    if not named:
        del body["spec"]["predictor"]["model"]["runtime"]
    kubectl.apply(body)
    pod = rendered(kubectl)
    (ours,) = serving_runtime()["spec"]["containers"]
    (container,) = [each for each in pod["containers"] if each["name"] == "kserve-container"]
    assert {name: container[name] for name in KEPT} == {name: ours[name] for name in KEPT}
    arguments = [each.replace("{{.Name}}", "painter") for each in ours["args"]]
    assert container["args"] == [*arguments, "--warmup-resolutions=1024x1024"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["enableServiceLinks"] is False
    # One server of one model: no agent beside it.
    assert len(pod["containers"]) == 1
    status = kubectl.get("inferenceservice", "painter")["status"]
    assert status.get("clusterServingRuntimeName", NAME) == NAME


def test_its_name_says_its_version_because_a_change_restarts_pods(admin: Kubectl) -> None:
    assert sample()["spec"]["predictor"]["model"]["runtime"] == NAME
    assert admin.find("clusterservingruntime", NAME)
