"""What stays when the release goes: all that serves, and the definition."""

from tests.cluster.support.installation import OPERATOR, Installation
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.reached import check_picture, reached
from tests.cluster.support.started import Started
from tests.integration.support.clients import CLIENTS
from tests.integration.support.server import wait_until

CRD = ("customresourcedefinition", "diffusionservices.kiln.dev")
PROMPT = "a fox on a green background"
BACKGROUND = "green"
KNOBS = {"num_inference_steps": 8}


def test_c09_without_the_release_everything_serves_on_and_the_next_one_takes_it_up(
    installation: Installation, samples: dict[str, Started], admin: Kubectl
) -> None:
    hare = samples["Deployment"]
    kubectl, name = hare.kubectl, hare.case.name
    definition = admin.get(*CRD)["metadata"]["uid"]
    pods = _pods(kubectl)
    installation.uninstall()
    try:
        assert installation.kubectl.find("deployment", OPERATOR) is None
        assert installation.kubectl.find("serviceaccount", OPERATOR) is None
        assert admin.find("clusterrole", OPERATOR) is None
        assert admin.get(*CRD)["metadata"]["uid"] == definition
        assert admin.find("clusterservingruntimes")["items"]
        with reached(kubectl, hare.case.front, name) as server:
            (picture,) = CLIENTS["httpx"](server, [PROMPT], KNOBS, "").pictures
        check_picture(picture, BACKGROUND)
        # Nobody looks after it now.
        kubectl.run("delete", "service", name)
    finally:
        installation.install()
    wait_until(lambda: kubectl.find("service", name), "the new release mends it", 60)
    assert _pods(kubectl) == pods


def _pods(kubectl: Kubectl) -> set[str]:
    return {each["metadata"]["uid"] for each in kubectl.get("pods")["items"]}
