"""One service with users who never stop asking, while the tests do to it what happens to services.

Whatever it is, every request is answered with a picture. All of them share the service and its
users, and leave it as it was: two pods, Ready.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from model.contract.flags import GRPC_PORT
from tests.cluster.e2e.conftest import Restricted
from tests.cluster.support import pods
from tests.cluster.support.kubectl import Kubectl, Object
from tests.cluster.support.services import Services
from tests.cluster.support.started import SMALL, START_SECONDS
from tests.integration.support.load import Load
from tests.integration.support.server import wait_until

PODS = 2
PORT = 80
# There are as many as six pods at a time, beside those of other tests.
SMALLER = {**SMALL, "requests": {"cpu": "50m", "memory": "512Mi"}}
# Seconds between two requests of one user: the pods that start need some of the processor, too.
PAUSE = 0.3


@dataclass(frozen=True, slots=True)
class Rolling:
    """``spec``: as it is when nothing happens to it. ``load``: its users, since it was Ready."""

    name: str
    services: Services
    spec: dict[str, Any]
    load: Load

    @property
    def kubectl(self) -> Kubectl:
        return self.services.kubectl

    @property
    def selector(self) -> str:
        return f"kiln.dev/service={self.name}"

    def change(self, **fields: Any) -> None:
        """Apply its spec with other fields."""
        self.services.apply(self.name, **{**self.spec, **fields})

    def settled(self, count: int = PODS) -> list[Object]:
        """Its pods, once there are so many, all of them Ready, and the service says Ready."""
        self.services.until(self.name, "Ready")

        def so() -> list[Object] | None:
            found = self.pods()
            enough = len(found) == count and all(pods.ready(each) for each in found)
            return found if enough else None

        return wait_until(so, f"{count} pods of {self.name} are Ready", START_SECONDS)

    def pods(self) -> list[Object]:
        """All that there are, also those that end."""
        found: list[Object] = self.kubectl.get("pods", "--selector", self.selector)["items"]
        return found


def runs(several: list[Object]) -> set[str]:
    """What a restart of any of them would change."""
    return {each["containerID"] for pod in several for each in pod["status"]["containerStatuses"]}


def applied(services: Services, name: str, backend: str, replicas: int) -> dict[str, Any]:
    """A service of the embedded model; its spec."""
    spec = {"backend": backend, "replicas": replicas, "resources": SMALLER}
    services.apply(name, **spec)
    return spec


@pytest.fixture(scope="package")
def of_users(restricted: Restricted) -> Iterator[Services]:
    """The DiffusionServices that have users."""
    with restricted() as kubectl:
        yield Services(kubectl, START_SECONDS)


@pytest.fixture(scope="package")
def both(of_users: Services) -> dict[str, Rolling]:
    """By backend. They start together, since most of a start is waiting."""
    specs = {
        "Deployment": ("fox", applied(of_users, "fox", "Deployment", PODS)),
        "KServe": ("hare", applied(of_users, "hare", "KServe", 1)),
    }
    found = {}
    for backend, (name, spec) in specs.items():
        of_users.until(name, "Ready")
        front = name if backend == "Deployment" else f"{name}-predictor"
        address = of_users.kubectl.get("service", front)["spec"]["clusterIP"]
        load = Load(address, PORT, GRPC_PORT, name, pause=PAUSE)
        found[backend] = Rolling(name, of_users, spec, load)
    return found


@pytest.fixture(scope="package")
def asked(both: dict[str, Rolling]) -> Iterator[Rolling]:
    """The one without KServe, with its users."""
    found = both["Deployment"]
    found.settled()
    with found.load.running(kept=2, fresh=1, calls=1):
        yield found


@pytest.fixture
def rolling(asked: Rolling) -> Iterator[Rolling]:
    """Its users are all served before the test and after it. A request that fails between, and is
    not excused, fails the test.
    """
    with all_served(asked.load):
        yield asked


@contextlib.contextmanager
def all_served(load: Load) -> Iterator[None]:
    """From now on: a Service's first endpoint is no news for a node at once."""
    load.served(1)
    before = len(load.outcomes)
    yield
    load.served(1)
    failures = load.failures(before)
    count = f"{len(failures)} of {len(load.outcomes) - before} requests failed"
    assert not failures, f"{count}: {failures[:9]}"
