"""One cluster with a node for the tests of a module; it is gone, with all its pods, after them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.support import node
from tests.cluster.support.kubectl import Kubectl
from tools.cluster.record import Record


@pytest.fixture(scope="session")
def node_programs() -> None:
    """A node can be here, and everything is built."""
    node.can_run()


@pytest.fixture(scope="module")
def up(
    node_programs: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Record, Kubectl]]:
    folder = tmp_path_factory.mktemp("node")
    with node.brought_up(folder / "cluster", folder) as found:
        yield found


@pytest.fixture(scope="module")
def record(up: tuple[Record, Kubectl]) -> Record:
    """What runs."""
    return up[0]


@pytest.fixture(scope="module")
def admin(up: tuple[Record, Kubectl]) -> Kubectl:
    """kubectl with every right."""
    return up[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For another cluster."""
    return tmp_path / "cluster"
