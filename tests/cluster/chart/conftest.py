"""The shipped chart in a namespace of a real cluster, and the operator as its Deployment would
start it: with these flags, and under this service account.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.support import CHART, Helm
from tests.cluster.conftest import established
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

ROOT = Path(__file__).parents[3]
DEFINITION = ROOT / "manifests/crd/diffusionservices.yaml"
# What the process must not take from the Deployment: it runs on the tests' own machine.
ELSEWHERE = ("--port", "--log-format")
Run = Callable[[], OperatorProcess]


@pytest.fixture(scope="session")
def crd(admin: Kubectl) -> None:
    """DiffusionService is served."""
    admin.run("apply", "--server-side", "--force-conflicts", "-f", str(DEFINITION))
    wait_until(lambda: established(admin, "diffusionservices.kiln.dev"), "it is served")


@pytest.fixture
def helm(helm_program: Path, kubectl: Kubectl, tmp_path: Path) -> Helm:
    """In the test's namespace."""
    return Helm(helm_program, CHART, tmp_path / "helm", kubectl.kubeconfig, kubectl.namespace)


@pytest.fixture
def release(helm: Helm, kubectl: Kubectl) -> Iterator["Release"]:
    """Of a name of its own, because some of its objects belong to the cluster."""
    made = Release(helm, kubectl, f"kiln-{kubectl.namespace.removeprefix('test-')}")
    yield made
    made.uninstall()


@pytest.fixture
def services(kubectl: Kubectl, crd: None) -> Services:
    """DiffusionServices of the test's namespace."""
    return Services(kubectl)


@pytest.fixture
def run(release: "Release", tmp_path: Path) -> Iterator[Run]:
    """Starts the operator of the release; it is stopped with the test."""
    started: list[OperatorProcess] = []

    def make() -> OperatorProcess:
        for each in started:
            each.close()
        number = len(started)
        account = release.account(tmp_path / f"account-{number}.kubeconfig")
        log = tmp_path / f"operator-{number}.log"
        process = OperatorProcess(account.kubeconfig, log, *release.flags())
        started.append(process)
        process.wait()
        return process

    yield make
    for each in started:
        each.close()
    for each in started:
        assert not each.complaints(), "the chart's rights do not suffice, or it crashed"


class Release:
    """One of Helm's releases."""

    def __init__(self, helm: Helm, kubectl: Kubectl, name: str) -> None:
        self.helm = helm
        self.kubectl = kubectl
        self.name = name
        self.operator = f"{name}-operator"

    def install(self, *flags: str) -> None:
        """Without the definition, which all tests share, unless the flags say otherwise."""
        words = ("--set", "crds.install=false", *flags)
        self.helm.run("install", self.name, str(self.helm.chart), *words)

    def upgrade(self, *flags: str) -> None:
        words = ("--reset-then-reuse-values", *flags)
        self.helm.run("upgrade", self.name, str(self.helm.chart), *words)

    def rollback(self) -> None:
        """To the revision before."""
        self.helm.run("rollback", self.name)

    def uninstall(self) -> None:
        self.helm.run("uninstall", self.name, "--ignore-not-found")

    def deployment(self) -> dict[str, Any]:
        return self.kubectl.get("deployment", self.operator)

    def flags(self) -> list[str]:
        """Of the operator's container."""
        (container,) = self.deployment()["spec"]["template"]["spec"]["containers"]
        verb, *flags = container["args"]
        assert verb == "run"
        # A pod would know its namespace by itself.
        kept = [each for each in flags if not each.startswith(ELSEWHERE)]
        return [*kept, f"--lease-namespace={self.kubectl.namespace}"]

    def account(self, kubeconfig: Path) -> Kubectl:
        """The operator's, with a token as its pods would have."""
        name = self.deployment()["spec"]["template"]["spec"]["serviceAccountName"]
        return self.kubectl.as_service_account(name, kubeconfig)
