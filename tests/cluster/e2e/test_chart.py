"""The release's own test, and all pods under Pod Security's strictest level."""

import json
from typing import Any

import pytest

from controller.api.template import CACHE_FOLDER, SHARED_MEMORY, TEMPORARY_FOLDER
from tests.cluster.support.installation import Installation
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.started import CASES, START_SECONDS, Started
from tests.integration.support.server import wait_until

USER = 65532
# Runs in a container: whether it can write into folders.
SCRIPT = """
import json, os, sys
found = {}
for each in sys.argv[1:]:
    try:
        open(os.path.join(each, "probe"), "w").close()
        found[each] = "written"
    except OSError as error:
        found[each] = error.strerror
print(json.dumps({"user": os.getuid(), **found}))
"""
READ_ONLY = "Read-only file system"
DENIED = ("/opt/kiln/code", "/")


def tried(kubectl: Kubectl, pod: str, *folders: str) -> dict[str, Any]:
    """The user of a pod's container, and what became of its attempts to write."""
    said = kubectl.run("exec", pod, "--", "python", "-c", SCRIPT, *folders)
    found: dict[str, Any] = json.loads(said)
    return found


def test_the_charts_own_test_draws_a_picture_and_leaves_nothing(installation: Installation) -> None:
    before = _pods(installation.kubectl)
    said = installation.test()
    assert "Phase:          Succeeded" in said
    assert "drew 'a fox on a yellow background', a PNG of" in said
    assert installation.kubectl.get("dsvc")["items"] == []
    wait_until(lambda: _pods(installation.kubectl) == before, "its pods are gone", START_SECONDS)


def test_c13_the_operators_pods_are_nobody_and_write_nowhere_but_in_tmp(
    installation: Installation,
) -> None:
    namespace = installation.kubectl.get("namespace", installation.kubectl.namespace)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = _pods(installation.kubectl)
    assert len(pods) == 2
    for each in pods:
        found = tried(installation.kubectl, each, *DENIED, TEMPORARY_FOLDER)
        assert found == {
            "user": USER,
            **dict.fromkeys(DENIED, READ_ONLY),
            TEMPORARY_FOLDER: "written",
        }


@pytest.mark.parametrize("backend", CASES)
def test_c13_servers_are_nobody_and_write_nowhere_but_into_their_volumes(
    samples: dict[str, Started], backend: str
) -> None:
    sample = samples[backend]
    namespace = sample.kubectl.get("namespace", sample.kubectl.namespace)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    allowed = (TEMPORARY_FOLDER, SHARED_MEMORY, CACHE_FOLDER)
    assert tried(sample.kubectl, sample.pod, *DENIED, *allowed) == {
        "user": USER,
        **dict.fromkeys(DENIED, READ_ONLY),
        **dict.fromkeys(allowed, "written"),
    }


def _pods(kubectl: Kubectl) -> set[str]:
    return {each["metadata"]["name"] for each in kubectl.get("pods")["items"]}
