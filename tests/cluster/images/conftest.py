"""Our own images on the cluster with a node, which they share with all other tests that need it."""

from collections.abc import Mapping

import pytest

from tests.cluster.support import images, node
from tests.cluster.support.images import Images
from tests.cluster.support.kubectl import Kubectl
from tools.cluster.record import Record
from tools.images.layers import Image


@pytest.fixture(scope="session")
def ours(node_cluster: tuple[Record, Kubectl], built_images: Mapping[str, Image]) -> Images:
    """On the node."""
    return images.brought(node_cluster[0], built_images)


@pytest.fixture(scope="session")
def kubectl(node_cluster: tuple[Record, Kubectl]) -> Kubectl:
    """In a namespace that enforces the strictest Pod Security."""
    return node.within(node_cluster[1], "images")
