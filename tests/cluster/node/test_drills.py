"""What happens to a node does not happen to its pods; and nothing stays of it and of them."""

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import node, pods
from tests.cluster.support import up as command_line
from tests.cluster.support.kubectl import Kubectl, Object
from tests.integration.support.server import wait_until
from tools.cluster.layout import Layout
from tools.cluster.node import images
from tools.cluster.node.programs import CONTAINERD, KUBELET
from tools.cluster.record import Record


@pytest.fixture(scope="module")
def kubectl(admin: Kubectl) -> Kubectl:
    """In a namespace with a pod that is Ready."""
    inside = node.within(admin, "drills")
    pods.bring(inside, "web")
    return inside


@pytest.mark.parametrize("program", [KUBELET.name, CONTAINERD.name])
def test_pods_live_on_when_a_program_of_the_node_is_killed(
    record: Record, kubectl: Kubectl, program: str
) -> None:
    before = _container(kubectl)
    place = ("--folder", str(record.layout.folder))
    running = node.now(record).processes[program]
    process = running.process()
    assert process
    process.kill()
    wait_until(lambda: not running.alive, f"{program} is dead", 30)

    command_line.printed("start", program, *place)
    # A pod that the node starts now tells that it works, and has looked at its pods.
    pods.bring(kubectl, f"after-{program}")
    pods.becoming_ready(kubectl, "web")
    assert _container(kubectl) == before
    assert kubectl.run("exec", "web", "--", "cat", "/www/name").strip() == "web"
    command_line.printed("status", *place)


def test_archive_is_imported_once_and_again_when_it_is_another_one(
    record: Record, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = []
    real = images.ctr

    def watched(layout: Layout, *arguments: str, **options: Any) -> str:
        imports.extend(each for each in arguments if each == "import")
        return real(layout, *arguments, **options)

    monkeypatch.setattr(images, "ctr", watched)
    file = tmp_path / "busybox.tar"
    for greeting, count in (("good morning", 1), ("good morning", 1), ("good night", 2)):
        node.busybox(file, greeting)
        assert images.load(record.layout, file) == (node.BUSYBOX,)
        assert len(imports) == count
    pods.bring(kubectl, "another")
    assert kubectl.run("exec", "another", "--", "cat", "/greeting") == "good night"


def test_a_machine_is_the_node_of_one_cluster(record: Record, folder: Path) -> None:
    refused = command_line.run("up", "--node", "--folder", str(folder))
    assert refused.returncode == 1
    assert (
        f"the node of the cluster in {record.layout.folder}: end that one first" in refused.stderr
    )
    assert not folder.exists()
    command_line.printed("status", "--folder", str(record.layout.folder))


def test_pods_without_any_program_of_their_cluster_are_ended_with_it(
    record: Record, kubectl: Kubectl
) -> None:
    """The last one of its cluster, whose end then has to find the pods by itself."""
    assert pods.ready(kubectl.get("pod", "web"))
    node.kill_programs(record)
    left = node.traces(record.layout.folder)
    assert any("containerd-shim" in each for each in left["processes"])
    assert len([each for each in left["links"] if each.startswith("veth")]) >= 1


def _container(kubectl: Kubectl) -> tuple[str, int]:
    """Which it is, and how often it was started again."""
    status: Object = kubectl.get("pod", "web")["status"]["containerStatuses"][0]
    return status["containerID"], status["restartCount"]
