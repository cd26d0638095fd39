"""Our own images, built of the tree that is tested, where the node's pods find them.

They take minutes to build once, and seconds after a change of code. The fixture ``built_images``
builds them, and gives its tests the time for it; ``brought`` gives them to a node.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tools.cluster.node import checkout
from tools.cluster.record import Record
from tools.images.layers import Image

CONTROLLER, MODEL = checkout.TARGETS


@dataclass(frozen=True, slots=True)
class Images:
    """References for pods with ``imagePullPolicy: IfNotPresent``."""

    controller: str
    model: str


def brought(record: Record, built: Mapping[str, Image]) -> Images:
    """Both on the cluster's node. What is there already is not brought again."""
    names = {target: checkout.bring(record.layout, each) for target, each in built.items()}
    return Images(controller=names[CONTROLLER], model=names[MODEL])
