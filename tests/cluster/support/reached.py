"""A service as its users reach it from this machine: by the address of its Service."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np

from model.contract.flags import GRPC_PORT
from model.embedded.palette import BACKGROUNDS, PICTURE_SIDE
from tests.cluster.support.kubectl import Kubectl
from tests.integration.support.requests import opened, pixels

# The object itself must differ from what is around it, by this much of 255 in some channel.
CLEARLY = 40


@dataclass(frozen=True, slots=True)
class Reached:
    """``model``: its name there."""

    base_url: str
    grpc_address: str
    client: httpx.Client
    model: str


@contextlib.contextmanager
def reached(kubectl: Kubectl, service: str, model: str) -> Iterator[Reached]:
    """By the Service of this name."""
    host = kubectl.get("service", service)["spec"]["clusterIP"]
    url = f"http://{host}"
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield Reached(url, f"{host}:{GRPC_PORT}", client, model)


def check_picture(data: bytes, background: str) -> None:
    """It is whole, of the embedded model's size, of the background that was asked for, and has an
    object on it.
    """
    assert opened(data).size == (PICTURE_SIDE, PICTURE_SIDE)
    found = pixels(data).astype(int)
    border = np.concatenate([found[0], found[-1], found[:, 0], found[:, -1]])
    colour = np.median(border, axis=0)
    distances = {name: np.abs(colour - rgb).sum() for name, rgb in BACKGROUNDS.items()}
    assert min(distances, key=lambda each: distances[each]) == background, colour
    assert np.abs(found - colour).max(axis=2).max() > CLEARLY, "there is nothing on it"
