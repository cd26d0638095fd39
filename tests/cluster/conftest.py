"""One real cluster for all tests of this tier, and a namespace of its own for each of them.

The cluster is the one that ``KUBECONFIG`` names, or else ours: built where it must be, brought up
once, and removed with the last test.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.cluster.support import node, up
from tests.cluster.support.kubectl import Kubectl
from tests.conftest import NOT_OURS
from tests.integration.support.server import wait_until
from tools.cluster import kubectl as built_kubectl
from tools.cluster import record as records
from tools.cluster.build import build_all, find_go, unbuilt
from tools.cluster.errors import GoMissing
from tools.cluster.families import CHART_FAMILIES, FAMILIES, NODE_FAMILIES
from tools.cluster.node import checkout, requirements
from tools.cluster.places import running_folder
from tools.cluster.record import Record
from tools.images.layers import Image

# A first run builds the programs, or our images, in the first fixture.
BUILD_SECONDS = 3600


# Of a fixture: who asks for it needs the one node that a machine can be.
NODE = "node_cluster"
# It ends that node.
LAST = Path(__file__).parent / "node/test_drills.py"
# Where the tests are that need it. They and all others work side by side, each with its cluster.
OF_THE_NODE = ("tests/cluster/e2e/", "tests/cluster/images/", "tests/cluster/node/")
HELM = {"helm": CHART_FAMILIES["helm"]}


class ByCluster(LoadScopeScheduling):
    """Two workers, each with a cluster of its own."""

    def _split_scope(self, nodeid: str) -> str:
        return NODE if nodeid.startswith(OF_THE_NODE) else "control plane"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByCluster:
    return ByCluster(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
    if "KUBECONFIG" in os.environ:
        return
    builds = bool(unbuilt(FAMILIES | NODE_FAMILIES))
    for item in items:
        ours = Path(__file__).parent in item.path.parents
        if ours and (builds or "built_images" in getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


def _turn(item: pytest.Item) -> int:
    """Those that need the node come last, all of them on the same one."""
    if NODE not in getattr(item, "fixturenames", ()):
        return 0
    return 2 if item.path == LAST else 1


def pytest_report_header() -> str:
    named = os.environ.get("KUBECONFIG")
    return f"cluster: {named or 'our own'}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """``folder`` is None where the cluster is not ours to stop."""

    kubeconfig: Path
    kubectl: str
    folder: Path | None


@pytest.fixture(scope="session")
def programs() -> None:
    """Every program is built; the tier is skipped where it cannot be, which CI does not accept."""
    if "KUBECONFIG" in os.environ:
        pytest.skip(NOT_OURS)
    try:
        if unbuilt():
            find_go()
    except GoMissing as missing:
        pytest.skip(str(missing))
    build_all()


@pytest.fixture(scope="session")
def built_images() -> Mapping[str, Image]:
    """Our own images of this checkout, by their targets, for a node that can be here."""
    node.can_run(*requirements.IMAGE_NEEDS)
    return checkout.built()


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A running cluster that the tests may fill."""
    if "KUBECONFIG" in os.environ:
        found = shutil.which("kubectl")
        assert found, (
            "KUBECONFIG is set, and kubectl is not in PATH: install it, or unset KUBECONFIG"
        )
        # Several files become one, and the context stays the one that it is now.
        view = [found, "config", "view", "--raw", "--minify", "--flatten"]
        kubeconfig = tmp_path_factory.mktemp("cluster") / "kubeconfig"
        kubeconfig.write_bytes(subprocess.check_output(view))
        yield Cluster(kubeconfig, found, None)
        return
    request.getfixturevalue("programs")
    folder = running_folder() / f"test-{os.getpid()}"
    try:
        up.printed("up", "--folder", str(folder), "--owner", str(os.getpid()))
        record = records.read(folder)
        assert record
        kubeconfig = Path(up.printed("kubeconfig", "--folder", str(folder)).strip())
        yield Cluster(kubeconfig, str(built_kubectl.program(record.layout.built)), folder)
    finally:
        up.printed("down", "--folder", str(folder))
    assert not up.processes_of(folder)
    assert not folder.exists()


@pytest.fixture(scope="session")
def our_cluster(cluster: Cluster) -> Path:
    """The folder of a cluster whose programs may be stopped."""
    if cluster.folder is None:
        pytest.skip(NOT_OURS)
    return cluster.folder


@pytest.fixture(scope="session")
def node_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Record, Kubectl]]:
    """Another one, whose node runs pods; it is gone with all of them after the last test."""
    node.can_run()
    folder = tmp_path_factory.mktemp("node")
    with node.brought_up(folder / "cluster", folder) as found:
        yield found


@pytest.fixture(scope="session")
def helm_program() -> Path:
    try:
        if unbuilt(HELM):
            find_go()
    except GoMissing as missing:
        pytest.skip(str(missing))
    return build_all(HELM)["helm"] / "helm"


@pytest.fixture(scope="session")
def admin(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl with every right, in the namespace ``default``."""
    return Kubectl(cluster.kubectl, cluster.kubeconfig, tmp_path_factory.mktemp("kubectl"))


@pytest.fixture
def kubectl(admin: Kubectl) -> Iterator[Kubectl]:
    """kubectl with every right in a new namespace, which ends with the test."""
    name = f"test-{secrets.token_hex(4)}"
    admin.run("create", "namespace", name)
    yield admin.within(name)
    # What is in it goes with it. Nobody waits: the next test has its own.
    admin.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kserve(admin: Kubectl) -> None:
    """KServe's manager works in this cluster."""
    if admin.find("customresourcedefinition", "inferenceservices.serving.kserve.io") is None:
        pytest.skip("KUBECONFIG names a cluster without KServe")


@pytest.fixture
def service_account(kubectl: Kubectl, tmp_path: Path) -> Callable[..., Kubectl]:
    """Makes a service account of the test's namespace with the given rules of a Role; kubectl as
    that account."""

    def make(name: str, rules: list[dict[str, Any]]) -> Kubectl:
        group = "rbac.authorization.k8s.io"
        metadata = {"name": name, "namespace": kubectl.namespace}
        kubectl.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", **metadata}],
            },
        )
        return kubectl.as_service_account(name, tmp_path / f"{name}.kubeconfig")

    return make


@pytest.fixture
def definition(admin: Kubectl) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Adds a CustomResourceDefinition for the time of the test, served when this returns."""
    with contextlib.ExitStack() as stack:

        def add(body: dict[str, Any]) -> None:
            name = body["metadata"]["name"]
            admin.run("create", "-f", "-", text=json.dumps(body))
            stack.callback(admin.run, "delete", "customresourcedefinition", name, "--wait=false")
            wait_until(lambda: established(admin, name), f"{name} is served", 30)

        yield add


def established(admin: Kubectl, name: str) -> bool:
    conditions = admin.get("customresourcedefinition", name)["status"].get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
