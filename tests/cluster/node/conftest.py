"""The cluster with a node, which these tests share with all others that need it."""

from pathlib import Path

import pytest

from tests.cluster.support.kubectl import Kubectl
from tools.cluster.record import Record


@pytest.fixture(scope="session")
def record(node_cluster: tuple[Record, Kubectl]) -> Record:
    """What runs."""
    return node_cluster[0]


@pytest.fixture(scope="session")
def admin(node_cluster: tuple[Record, Kubectl]) -> Kubectl:
    """kubectl with every right."""
    return node_cluster[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For another cluster."""
    return tmp_path / "cluster"
