"""A service of roles on real pods: its router warms the whole chain up before it says Ready, draws
what a single server draws, and serves on while its pods come, go, die and are cut off.

All tests share the service, and most of them its users. Where another replica can serve, none of
their requests fails.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest

from model.contract.flags import GRPC_PORT, HTTP_PORT
from tests.cluster.e2e.conftest import Restricted
from tests.cluster.e2e.in_use.conftest import PAUSE, SMALLER, all_served
from tests.cluster.support import inside, pods
from tests.cluster.support.kubectl import Object
from tests.cluster.support.reached import reached
from tests.cluster.support.services import SERVER, Services
from tests.cluster.support.started import START_SECONDS, Started
from tests.integration.support.clients import CLIENTS
from tests.integration.support.load import Load
from tests.integration.support.requests import KNOBS, pixels
from tests.integration.support.server import wait_until

NAME = "staged"
WORKERS = ("encoder", "denoiser", "decoder")
PARTS = ("router", *WORKERS)
OFF = {"mode": "Off", "reason": "DisaggregatedRole"}
PORT = 80
# Of nftables: what keeps two pods of one node apart.
TABLE = ("bridge", "kiln-test-cut")


@dataclass(frozen=True, slots=True)
class Chain:
    """``spec``: as it is when nothing happens to it."""

    services: Services
    spec: dict[str, Any]

    def pods(self, role: str) -> list[Object]:
        """Those that are not told to end."""
        several = self.services.pods(NAME, role, self.count(role))
        return [self.services.kubectl.get("pod", each) for each in several]

    def count(self, role: str) -> int:
        """Of the pods of one role that should be there."""
        name = NAME if role == "router" else f"{NAME}-{role}"
        wanted: int = self.services.kubectl.get("deployment", name)["spec"]["replicas"]
        return wanted

    def scale(self, count: int) -> None:
        """Every worker role, as ``kubectl scale`` does it."""
        several = (f"deployment/{NAME}-{role}" for role in WORKERS)
        self.services.kubectl.run("scale", *several, f"--replicas={count}")

    def told(self) -> dict[str, Object]:
        """What the status says of each role."""
        return {each["name"]: each for each in self.services.status(NAME).get("roles") or ()}

    def proven(self, count: int) -> None:
        """Return when so many replicas of each worker role are Ready, proven, and alone."""

        def so() -> bool:
            told = self.told()
            numbers = {(told[role]["readyReplicas"], told[role].get("proven")) for role in WORKERS}
            living = all(len(self.living(role)) == count for role in WORKERS)
            return numbers == {(count, count)} and living

        try:
            wait_until(so, f"{count} replicas of each role are proven", START_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; told: {self.told()}") from error

    def living(self, role: str) -> list[Object]:
        """All pods that there are, also those that end."""
        selector = f"kiln.dev/service={NAME},kiln.dev/role={role}"
        found: list[Object] = self.services.kubectl.get("pods", "--selector", selector)["items"]
        return found


@pytest.fixture(scope="module")
def chain(restricted: Restricted) -> Iterator[Chain]:
    """One pod of each role, and Ready."""
    with restricted() as kubectl:
        services = Services(kubectl, START_SECONDS)
        # The explicit mode changes nothing for workers.
        roles = {role: {"resources": SMALLER} for role in WORKERS}
        spec = {"roles": roles, "warmup": {"mode": "Server"}, "resources": SMALLER}
        services.apply(NAME, **spec)
        services.until(NAME, "Ready")
        yield Chain(services, spec)


@pytest.fixture(scope="module")
def load(chain: Chain) -> Iterator[Load]:
    """Users of the service."""
    address = chain.services.kubectl.get("service", NAME)["spec"]["clusterIP"]
    users = Load(address, PORT, GRPC_PORT, NAME, pause=PAUSE)
    with users.running(kept=1, fresh=1, calls=1):
        yield users


@pytest.fixture
def served(load: Load) -> Iterator[Load]:
    """A request that fails within the test fails the test."""
    with all_served(load):
        yield load


def test_c02_pods_of_roles_are_told_not_to_warm_up_and_the_status_says_so(chain: Chain) -> None:
    told = {role: arguments(chain, role) for role in PARTS}
    assert {role: told[role]["--warmup-mode"] for role in told} == {
        **dict.fromkeys(WORKERS, "off"),
        "router": "server",
    }
    assert {role: told[role]["--role"] for role in told} == {role: role for role in told}
    said = {name: each["warmup"] for name, each in chain.told().items()}
    assert said == {**dict.fromkeys(WORKERS, OFF), "router": {"mode": "Server"}}
    for role in WORKERS:
        report = metadata(chain, role)["warmup"]
        assert (report["mode"], report["reason"]) == ("off", "disaggregated-role")


def test_w44_the_chain_is_warm_when_the_service_is_ready(chain: Chain) -> None:
    chain.proven(1)
    told = metadata(chain, "router")
    assert told["warmup"]["done"] == told["warmup"]["of"] > 0
    assert all(each["proven"] for each in told["warmup"]["shapes"])
    proven = {role: each["proven"] for role, each in told["roles"].items()}
    assert proven == dict.fromkeys(WORKERS, 1)
    status = chain.services.status(NAME)
    assert status["warmup"]["shapes"]
    assert status["workers"] == "encoder 1/1, denoiser 1/1, decoder 1/1"


def test_c16_each_role_is_scaled_up_under_load(chain: Chain, served: Load) -> None:
    """And stays so, though the spec names no number."""
    chain.scale(2)
    chain.proven(2)
    served.served(3)


def test_c16_a_replica_of_each_role_is_killed_under_load(chain: Chain, served: Load) -> None:
    """All of them are started again at the same time: most of that is waiting."""
    victims = [chain.pods(role)[0] for role in WORKERS]
    for each in victims:
        inside.program(each, "model", "serve").kill()
        served.served(2)
    for each in victims:
        started_again(chain, each)
    chain.proven(2)


def test_w44_a_replica_that_the_router_cannot_reach_is_done_without(
    chain: Chain, served: Load
) -> None:
    """Its readiness is Kubernetes' to tell; whether it gets requests, the router's."""
    (router,), (replica, _) = chain.pods("router"), chain.pods("denoiser")
    with cut_off(router, replica):
        served.served(3)
        wait_until(lambda: metadata(chain, "router")["roles"]["denoiser"]["proven"] == 1,
                   "the router does without it", 60)  # fmt: skip
        assert pods.ready(chain.services.kubectl.get("pod", replica["metadata"]["name"]))
        served.served(2)
    chain.proven(2)


def test_c16_each_role_is_scaled_down_under_load(chain: Chain, served: Load) -> None:
    chain.scale(1)
    chain.proven(1)
    served.served(3)


def test_c16_a_new_version_comes_to_the_workers_first(chain: Chain, load: Load) -> None:
    """Then to the router. Kubernetes ends a worker of before once its successor is Ready, which the
    router may not have proven by then: users may be told to come again.
    """
    before = {role: names(chain.pods(role)) for role in PARTS}
    chain.services.apply(NAME, **{**chain.spec, "requests": {"maxQueue": 17}})
    wait_until(lambda: names(chain.living("router")) - before["router"], "the router rolls",
               START_SECONDS)  # fmt: skip
    for role in WORKERS:
        assert not names(chain.pods(role)) & before[role], f"the router rolls before the {role}"
    chain.services.until(NAME, "Ready")
    chain.proven(1)
    assert not names(chain.pods("router")) & before["router"]
    load.served(2)


def test_w44_without_a_role_users_are_told_to_come_again_and_it_recovers(chain: Chain) -> None:
    kubectl = chain.services.kubectl
    kubectl.run("scale", "deployment", f"{NAME}-decoder", "--replicas=0")
    (router,) = chain.pods("router")
    address = router["status"]["podIP"]
    with httpx.Client(base_url=f"http://{address}:{HTTP_PORT}", trust_env=False) as client:
        wait_until(lambda: client.get("/v2/health/ready").status_code == 503, "NotReady", 60)
        answer = client.post(f"/v2/models/{NAME}/infer", json={"inputs": []})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    wait_until(lambda: not says_ready(chain), "the service says so")
    kubectl.run("scale", "deployment", f"{NAME}-decoder", "--replicas=1")
    chain.services.until(NAME, "Ready")
    assert restarts(chain, router) == 0


@pytest.mark.parametrize("client", ["httpx", "tritonclient.grpc"])
def test_w44_a_chain_draws_what_one_server_draws_to_the_last_bit(
    chain: Chain, samples: dict[str, Started], client: str
) -> None:
    """But for what the files say of themselves: the names of the two models."""
    alone = samples["Deployment"]
    drawn = []
    for kubectl, front in ((chain.services.kubectl, NAME), (alone.kubectl, alone.case.front)):
        with reached(kubectl, front, front) as server:
            (picture,) = CLIENTS[client](server, ["a fox"], KNOBS, "").pictures
        drawn.append(pixels(picture))
    assert np.array_equal(*drawn)


def says_ready(chain: Chain) -> bool:
    return bool(chain.services.condition(NAME, "Ready")["status"] == "True")


def started_again(chain: Chain, pod: Object) -> None:
    wait_until(lambda: restarts(chain, pod) == 1, "it is started again", 60)


def restarts(chain: Chain, pod: Object) -> int:
    found = chain.services.kubectl.get("pod", pod["metadata"]["name"])
    count: int = found["status"]["containerStatuses"][0]["restartCount"]
    return count


def names(several: list[Object]) -> set[str]:
    return {each["metadata"]["name"] for each in several}


def metadata(chain: Chain, role: str) -> dict[str, Any]:
    """What the first pod of a role says of its model."""
    first, *_ = chain.pods(role)
    address = first["status"]["podIP"]
    with httpx.Client(base_url=f"http://{address}:{HTTP_PORT}", trust_env=False) as client:
        (model,) = client.get("/v2/models").raise_for_status().json()["models"]
        found: dict[str, Any] = client.get(f"/v2/models/{model}").raise_for_status().json()
    return found


def arguments(chain: Chain, role: str) -> dict[str, str]:
    """Flags of the first pod of a role, which a node runs."""
    first, *_ = chain.pods(role)
    (server,) = [each for each in first["spec"]["containers"] if each["name"] == SERVER]
    flags = [each.partition("=") for each in server["args"] if each.startswith("--")]
    return {name: value for name, _, value in flags}


@contextlib.contextmanager
def cut_off(one: Object, other: Object) -> Iterator[None]:
    """No packet goes from either of these pods to the other, and nobody tells them."""
    addresses = [each["status"]["podIP"] for each in (one, other)]
    chain = ("forward", "{ type filter hook forward priority 0 ; }")
    subprocess.run(["nft", "add", "table", *TABLE], check=True)
    try:
        subprocess.run(["nft", "add", "chain", *TABLE, *chain], check=True)
        for source, target in (addresses, reversed(addresses)):
            rule = ("ip", "saddr", source, "ip", "daddr", target, "drop")
            subprocess.run(["nft", "add", "rule", *TABLE, "forward", *rule], check=True)
        yield
    finally:
        subprocess.run(["nft", "delete", "table", *TABLE], check=True)
