"""One cluster with a node for all tests of our own images."""

from collections.abc import Iterator, Mapping

import pytest

from tests.cluster.support import images, node
from tests.cluster.support.images import Images
from tests.cluster.support.kubectl import Kubectl
from tools.cluster.record import Record
from tools.images.layers import Image


@pytest.fixture(scope="package")
def up(
    built_images: Mapping[str, Image], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Record, Kubectl]]:
    folder = tmp_path_factory.mktemp("images")
    with node.brought_up(folder / "cluster", folder) as found:
        yield found


@pytest.fixture(scope="package")
def record(up: tuple[Record, Kubectl]) -> Record:
    """What runs."""
    return up[0]


@pytest.fixture(scope="package")
def ours(record: Record, built_images: Mapping[str, Image]) -> Images:
    """On the node."""
    return images.brought(record, built_images)


@pytest.fixture(scope="package")
def kubectl(up: tuple[Record, Kubectl]) -> Kubectl:
    """In a namespace that enforces the strictest Pod Security."""
    return node.within(up[1], "images")
