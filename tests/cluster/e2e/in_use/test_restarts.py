"""C09, C10: everything around the pods ends and comes back, and the pods notice nothing of it."""

from collections.abc import Iterator

import pytest

from tests.cluster.support import inside, pods
from tests.cluster.support import up as command_line
from tests.cluster.support.installation import OPERATOR, Installation
from tests.cluster.support.kubectl import Kubectl, Object
from tests.cluster.support.started import START_SECONDS
from tests.integration.support.server import wait_until
from tools.cluster.node.programs import CONTAINERD, KUBELET
from tools.cluster.record import Record

from .conftest import Rolling, runs

API_SERVER = "kube-apiserver"


@pytest.fixture(autouse=True)
def unharmed(rolling: Rolling) -> Iterator[None]:
    """Whatever a test does, no container is another one afterwards, and the operator works."""
    before = runs(rolling.settled())
    yield
    repairs(rolling)
    assert runs(rolling.settled()) == before


@pytest.fixture
def operator(installation: Installation) -> Kubectl:
    """Where the operator's pods are."""
    return installation.kubectl


def test_c10_operator_is_killed(rolling: Rolling, operator: Kubectl) -> None:
    """Whichever leads: all of them, at once."""
    before = operators(operator)
    for each in before:
        inside.program(each, "controller", "run").kill()

    def again() -> bool:
        after = operators(operator)
        return uids(after) == uids(before) and not runs(after) & runs(before)

    wait_until(again, "all of them are started again", START_SECONDS)
    available(operator)


def test_c10_operator_pod_is_deleted(rolling: Rolling, operator: Kubectl) -> None:
    before = operators(operator)
    operator.run("delete", "pod", *(each["metadata"]["name"] for each in before))
    available(operator)
    assert not uids(before) & uids(operators(operator))


def test_c09_operator_is_upgraded_and_rolled_back(
    rolling: Rolling, installation: Installation
) -> None:
    """To other pods of its own, and to another image for the servers of new specs."""
    before = operators(installation.kubectl)
    flags = ("--set", "operator.logLevel=debug", "--set-string", "model.image.tag=none-such")
    installation.upgrade(*flags)
    try:
        repairs(rolling)
        after = operators(installation.kubectl)
        assert not uids(before) & uids(after)
    finally:
        installation.rollback()


def test_c10_api_server_is_restarted(rolling: Rolling, record: Record) -> None:
    command_line.printed("start", API_SERVER, "--folder", str(record.layout.folder))


def test_c16_node_restarts_without_its_pods(rolling: Rolling, record: Record) -> None:
    """The kubelet and containerd end together. While they are away, users are served."""
    programs = (CONTAINERD.name, KUBELET.name)
    place = ("--folder", str(record.layout.folder))
    for each in reversed(programs):
        command_line.printed("stop", each, *place)
    try:
        rolling.load.served(2)
    finally:
        for each in programs:
            command_line.printed("start", each, *place)
    command_line.printed("status", *place)


def repairs(rolling: Rolling) -> None:
    """The operator does its work: what is removed comes back."""
    kind = ("poddisruptionbudget", rolling.name)
    before = rolling.kubectl.get(*kind)["metadata"]["uid"]
    rolling.kubectl.run("delete", *kind)

    def anew() -> bool:
        found = rolling.kubectl.find(*kind)
        return found is not None and found["metadata"]["uid"] != before

    wait_until(anew, "the operator repairs", START_SECONDS)


def operators(kubectl: Kubectl) -> list[Object]:
    """Its pods that are not told to end."""
    found = kubectl.get("pods", "--selector", "app.kubernetes.io/component=operator")["items"]
    return [each for each in found if not each["metadata"].get("deletionTimestamp")]


def uids(several: list[Object]) -> set[str]:
    return {each["metadata"]["uid"] for each in several}


def available(kubectl: Kubectl) -> None:
    """All pods that should be there are Ready."""

    def so() -> bool:
        wanted = kubectl.get("deployment", OPERATOR)["spec"]["replicas"]
        found = operators(kubectl)
        return len(found) == wanted and all(pods.ready(each) for each in found)

    wait_until(so, "the operator's pods are Ready", START_SECONDS)
