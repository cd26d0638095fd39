"""The status has the servers' own words (C05): pods whose states the test writes, at whose address
a real server runs with the very flags that the operator rendered."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.services import Services, running
from tests.integration.support.server import ServerProcess, wait_until

# The operator asks this port, so each server has an address of the loopback to itself.
PORT = 8080
SIZES = ["64x64", "128x64", "64x128", "128x128"]
Serve = Callable[[str], str]


def address(number: int) -> str:
    """Of this process' own; nobody else listens there."""
    return f"127.{os.getpid() // 256 % 200 + 20}.{os.getpid() % 256}.{number}"


NOBODY = address(9)


@pytest.fixture
def serve(kubectl: Kubectl, tmp_path: Path) -> Iterator[Serve]:
    """Runs what a pod's container would run; returns the pod's address."""
    with ExitStack() as stack:
        count = 0

        def start(pod: str) -> str:
            nonlocal count
            count += 1
            (container,) = kubectl.get("pod", pod)["spec"]["containers"]
            assert container["args"][0] == "serve"
            here = ("--host", address(count), "--http-port", str(PORT))
            given = [*container["args"][1:], "--cache-dir", str(tmp_path / "cache"), *here]
            stack.enter_context(ServerProcess(tmp_path / f"server-{count}", *given))
            return address(count)

        yield start


def play(services: Services, pod: str, where: str, *, ready: bool) -> None:
    services.play(pod, **running(ready=ready), podIP=where, podIPs=[{"ip": where}])


def told(services: Services, name: str) -> dict[str, Any]:
    found: dict[str, Any] = services.status(name).get("warmup") or {}
    return found


def test_c05_the_status_has_what_the_servers_say(
    services: Services, operator: OperatorProcess, serve: Serve
) -> None:
    services.apply("fox", replicas=2, warmup={"resolutions": SIZES, "steps": 8})
    first, second = services.pods("fox", count=2)
    # One that nobody can ask is unknown, and as Ready as Kubernetes says.
    play(services, second, NOBODY, ready=True)
    play(services, first, serve(first), ready=False)
    services.until("fox", "Warming")
    assert "of 4 shapes are warm" in services.condition("fox", "Ready")["message"]
    assert services.condition("fox", "ModelLoaded")["status"] == "True"
    assert services.condition("fox", "WarmedUp")["status"] == "True", "of the other pod"
    assert told(services, "fox")["of"] == 4
    wait_until(lambda: told(services, "fox")["done"] == 4, "all shapes have run")
    assert services.condition("fox", "Ready")["status"] == "False", "Kubernetes has not said so"
    play(services, first, address(1), ready=True)
    wait_until(lambda: told(services, "fox")["pods"] == 1, "it tells what is warm")
    services.until("fox", "Ready")
    assert services.status("fox")["ready"] == "2/2"
    found = told(services, "fox")
    assert sorted(each.split()[1] for each in found["shapes"]) == sorted(SIZES)
    assert (found["mode"], found["pods"], found["done"], found["of"]) == ("Server", 1, 4, 4)
    assert found["seconds"] > 0
    assert "degraded" not in found
    warmed = services.condition("fox", "WarmedUp")
    assert (warmed["status"], warmed["reason"]) == ("True", "Proven")
    assert warmed["message"] == f"4 shapes are warm, after {found['seconds']} s"
    before, reconciles = operator.writes(), operator.reconciles()
    services.kubectl.run("annotate", "dsvc", "fox", "look=again")
    wait_until(lambda: operator.reconciles() > reconciles, "it has looked again")
    assert operator.writes() == before, "what they say is written once"


def test_c05_a_server_that_is_ready_with_less_than_planned_says_so(
    services: Services, operator: OperatorProcess, serve: Serve
) -> None:
    services.apply(
        "fox",
        warmup={"resolutions": SIZES[:1], "onFailure": "Degraded"},
        runtime={"extraArgs": ["--warmup-request-timeout=0.001"]},
    )
    (pod,) = services.pods("fox")
    # At first, nobody answers at its address.
    play(services, pod, NOBODY, ready=False)
    wait_until(
        lambda: services.condition("fox", "ModelLoaded")["status"] == "Unknown",
        "what cannot be asked is unknown",
    )
    assert services.condition("fox", "Ready")["reason"] == "Loading"
    assert "cannot reach it" in services.condition("fox", "Ready")["message"]
    play(services, pod, serve(pod), ready=True)
    services.until("fox", "Degraded")
    assert services.condition("fox", "Ready")["status"] == "True"
    assert services.condition("fox", "Reconciling")["status"] == "False"
    warmed = services.condition("fox", "WarmedUp")
    assert (warmed["status"], warmed["reason"]) == ("False", "Degraded")
    assert "took longer than" in warmed["message"]
    assert "took longer than" in told(services, "fox")["degraded"]
