"""``python -m controller try``, as ``helm test`` runs it: with those rights, and a real server."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.support import Helm, the
from tests.cluster.support.kubectl import Kubectl
from tests.integration.support.server import MODEL, ServerProcess, wait_until

ROOT = Path(__file__).parents[3]
SPEC = {"model": {"name": MODEL}}
NOW = "2026-01-01T00:00:00Z"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(helm: Helm, kubectl: Kubectl, crd: None, tmp_path: Path) -> Iterator[Start]:
    """Starts it as the account of the chart's test."""
    found = helm.template("--show-only", "templates/tests/try.yaml")
    kubectl.apply(*(each for each in found if each["kind"] not in ("Pod", "NetworkPolicy")))
    pod = the(found, "Pod")
    account = kubectl.as_service_account(pod["spec"]["serviceAccountName"], tmp_path / "kubeconfig")
    verb, *flags = pod["spec"]["containers"][0]["args"]
    assert verb == "try"
    started: list[subprocess.Popen[str]] = []

    def make(*more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "controller", verb, *flags, *more]
        process = subprocess.Popen(
            [*command, "--kubeconfig", str(account.kubeconfig)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield make
    for each in started:
        each.kill()
        each.wait()


def the_service(kubectl: Kubectl) -> str:
    """As soon as it is there."""
    found = wait_until(lambda: kubectl.get("dsvc")["items"], "a service was made", 60)
    return str(found[0]["metadata"]["name"])


def say(kubectl: Kubectl, kind: str, reason: str, url: str = "") -> None:
    """In the operator's place."""
    condition = {
        "type": kind, "status": "True", "reason": reason, "message": f"{reason} indeed",
        "lastTransitionTime": NOW, "observedGeneration": 1,
    }  # fmt: skip
    unready = {**condition, "type": "Ready", "status": "False"}
    conditions = [condition] if kind == "Ready" else [unready, condition]
    status: dict[str, Any] = {"conditions": conditions, **({"url": url} if url else {})}
    name = the_service(kubectl)
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    kubectl.run("patch", "dsvc", name, *patch)


def test_a_picture_is_drawn_and_the_service_removed(
    start: Start, kubectl: Kubectl, tmp_path: Path
) -> None:
    with ServerProcess(tmp_path / "server") as server:
        server.wait_ready()
        process = start("--spec", json.dumps(SPEC))
        say(kubectl, "Ready", "Ready", server.base_url)
        _, said = process.communicate(timeout=60)
        server.terminate()
    assert process.returncode == 0, said
    assert "a PNG of" in said
    assert kubectl.get("dsvc")["items"] == []


def test_a_service_that_stalls_is_told_and_removed(start: Start, kubectl: Kubectl) -> None:
    process = start()
    say(kubectl, "Stalled", "ImagePull")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "will not become Ready: ImagePull: ImagePull indeed" in said
    assert kubectl.get("dsvc")["items"] == []


def test_without_an_operator_it_says_so(start: Start, kubectl: Kubectl) -> None:
    process = start("--timeout", "1")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no operator has looked at it: is one running for this namespace?" in said
    assert kubectl.get("dsvc")["items"] == []


def test_told_to_end_it_removes_the_service(start: Start, kubectl: Kubectl) -> None:
    process = start()
    the_service(kubectl)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "interrupted" in said
    assert kubectl.get("dsvc")["items"] == []
