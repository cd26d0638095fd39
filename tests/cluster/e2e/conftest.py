"""The shipped chart with our own images, installed as people install it, on a node beside KServe.

A test has a namespace that enforces Pod Security's strictest level, and services that start as they
would anywhere: nobody here plays a pod.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.chart.support import CHART, Helm
from tests.cluster.support import images as ours
from tests.cluster.support import node
from tests.cluster.support.images import Images
from tests.cluster.support.installation import NAMESPACE, Installation
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.services import Services
from tests.cluster.support.started import START_SECONDS, Started, started
from tools.cluster.record import Record
from tools.images.layers import Image

Restricted = Callable[[], contextlib.AbstractContextManager[Kubectl]]


@pytest.fixture(scope="session")
def record(node_cluster: tuple[Record, Kubectl]) -> Record:
    """What runs."""
    return node_cluster[0]


@pytest.fixture(scope="session")
def admin(node_cluster: tuple[Record, Kubectl]) -> Kubectl:
    """kubectl with every right."""
    return node_cluster[1]


@pytest.fixture(scope="session")
def images(built_images: Mapping[str, Image], record: Record) -> Images:
    """Of this checkout, on the node."""
    return ours.brought(record, built_images)


@pytest.fixture(scope="session")
def installation(
    admin: Kubectl, images: Images, helm_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """Its operator is Ready. It ends with the cluster."""
    system = node.within(admin, NAMESPACE)
    home = tmp_path_factory.mktemp("helm")
    helm = Helm(helm_program, CHART, home, admin.kubeconfig, NAMESPACE)
    made = Installation(helm, system, images)
    made.install()
    return made


@pytest.fixture(scope="session")
def restricted(admin: Kubectl, installation: Installation) -> Restricted:
    """Makes a namespace that enforces ``restricted``, and that ends with its ``with``."""

    @contextlib.contextmanager
    def make() -> Iterator[Kubectl]:
        inside = node.within(admin, f"e2e-{secrets.token_hex(3)}")
        yield inside
        # Nobody waits: the next one is another.
        admin.run("delete", "namespace", inside.namespace, "--wait=false")

    return make


@pytest.fixture
def kubectl(restricted: Restricted) -> Iterator[Kubectl]:
    """In a namespace of the test's own."""
    with restricted() as inside:
        yield inside


@pytest.fixture
def services(kubectl: Kubectl) -> Services:
    """Of the test's namespace."""
    return Services(kubectl, START_SECONDS)


@pytest.fixture(scope="session")
def samples(admin: Kubectl, installation: Installation) -> Iterator[dict[str, Started]]:
    """By their backends. They serve until the last test; whoever changes one puts it back. They end
    with the cluster: by then nobody may answer, for the last drill kills all of its programs.
    """
    with started(node.within(admin, f"e2e-{secrets.token_hex(3)}")) as found:
        yield found
