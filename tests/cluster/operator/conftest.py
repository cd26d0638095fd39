"""The operator as its own process in a test's namespace, with the rights that ship and no more."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import established
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

ROOT = Path(__file__).parents[3]
DEFINITION = ROOT / "manifests/crd/diffusionservices.yaml"
RIGHTS = ROOT / "manifests/operator/rbac.yaml"

Start = Callable[..., OperatorProcess]


def shipped_rules() -> list[dict[str, Any]]:
    """Of the namespaced operator."""
    objects = yaml.safe_load_all(RIGHTS.read_text(encoding="utf-8"))
    wanted = ("kiln-operator", "kiln-operator-leader")
    return [
        rule
        for each in objects
        if each["kind"] in ("ClusterRole", "Role") and each["metadata"]["name"] in wanted
        for rule in each["rules"]
    ]


@pytest.fixture(scope="session")
def crd(admin: Kubectl) -> None:
    """DiffusionService is served."""
    admin.run("apply", "--server-side", "--force-conflicts", "-f", str(DEFINITION))
    wait_until(lambda: established(admin, "diffusionservices.kiln.dev"), "it is served")


@pytest.fixture
def services(kubectl: Kubectl, crd: None) -> Services:
    """DiffusionServices of the test's namespace."""
    return Services(kubectl)


@pytest.fixture
def account(kubectl: Kubectl, service_account: Callable[..., Kubectl]) -> Kubectl:
    """Whom the operator runs as."""
    return service_account("kiln-operator", shipped_rules())


@pytest.fixture
def start(kubectl: Kubectl, account: Kubectl, crd: None, tmp_path: Path) -> Iterator[Start]:
    """Starts operators that serve the test's namespace; they are stopped with the test."""
    started: list[OperatorProcess] = []

    def make(*flags: str, leads: bool = True) -> OperatorProcess:
        log = tmp_path / f"operator-{len(started)}.log"
        words = ("--namespaces", kubectl.namespace, "--lease-namespace", kubectl.namespace)
        process = OperatorProcess(account.kubeconfig, log, *words, *flags)
        started.append(process)
        process.wait(leads=leads)
        return process

    yield make
    for each in started:
        each.close()
    for each in started:
        assert each.excused or not each.complaints(), (
            "the rights that ship do not suffice, or it crashed"
        )


@pytest.fixture
def operator(start: Start) -> OperatorProcess:
    """One that leads."""
    return start()
