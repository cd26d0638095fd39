"""The operator as its own process in a test's namespace, with the rights that ship and no more."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import Cluster, established
from tests.cluster.support.audit import Audit, Writes
from tests.cluster.support.kubectl import Kubectl, Refused
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.proxy import Proxy
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

ROOT = Path(__file__).parents[3]
DEFINITION = ROOT / "manifests/crd/diffusionservices.yaml"
RIGHTS = ROOT / "manifests/operator/rbac.yaml"
# As they are in that file.
ACCOUNT = "kiln-operator"
SHIPPED_NAMESPACE = "kiln-system"

Start = Callable[..., OperatorProcess]


def shipped_rules() -> list[dict[str, Any]]:
    """Of the namespaced operator."""
    return [
        rule
        for each in shipped_objects()
        if each["kind"] in ("ClusterRole", "Role")
        and each["metadata"]["name"] in (ACCOUNT, f"{ACCOUNT}-leader")
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
    """Whom the operator runs as: one with the rights of the namespaced mode."""
    return service_account(ACCOUNT, shipped_rules())


@pytest.fixture
def clusterwide_account(admin: Kubectl, kubectl: Kubectl, tmp_path: Path) -> Iterator[Kubectl]:
    """One with the rights of the other mode: the file that ships, moved into the test's namespace,
    so that an operator that the cluster may have keeps its own.
    """
    objects = [moved(each, kubectl.namespace) for each in shipped_objects()]
    kubectl.apply(*objects)
    user = f"--as={user_name(kubectl)}"
    wait_until(
        lambda: (
            may(admin, "list", "diffusionservices.kiln.dev", user)
            and may(kubectl, "create", "leases", user)
        ),
        "the rights count",
    )
    yield kubectl.as_service_account(ACCOUNT, tmp_path / "clusterwide.kubeconfig")
    for each in objects:
        if each["kind"].startswith("Cluster"):
            admin.run("delete", each["kind"], each["metadata"]["name"])


@pytest.fixture
def audit(our_cluster: Path, kubectl: Kubectl) -> Audit:
    """What the API server says of the operator's account."""
    return Audit.of(our_cluster, user_name(kubectl))


@pytest.fixture
def start(
    cluster: Cluster, kubectl: Kubectl, account: Kubectl, crd: None, tmp_path: Path
) -> Iterator[Start]:
    """Starts operators, which serve the test's namespace unless they serve ``everywhere``; they are
    stopped with the test.
    """
    started: list[OperatorProcess] = []
    record = Audit.of(cluster.folder, user_name(kubectl)) if cluster.folder else None

    def make(
        *flags: str,
        leads: bool = True,
        everywhere: bool = False,
        user: Kubectl = account,
        skew: float = 0,
    ) -> OperatorProcess:
        log = tmp_path / f"operator-{len(started)}.log"
        words = ("--lease-namespace", kubectl.namespace)
        if not everywhere:
            words += ("--namespaces", kubectl.namespace)
        process = OperatorProcess(user.kubeconfig, log, *words, *flags, skew=skew)
        started.append(process)
        process.wait(leads=leads)
        return process

    yield make
    for each in started:
        each.close()
    excused = any(each.excused for each in started)
    for each in started:
        assert excused or not each.complaints(), (
            "the rights that ship do not suffice, or it crashed"
        )
    # What no log of its own tells: kopf is silent about some of what it is refused.
    assert excused or record is None or not record.forbidden()


@pytest.fixture
def proxy(account: Kubectl) -> Iterator[Proxy]:
    with Proxy(account.kubeconfig).running() as running:
        yield running


@pytest.fixture
def astray(proxy: Proxy, account: Kubectl, tmp_path: Path) -> Kubectl:
    """The operator's account, whose requests go through the proxy."""
    return proxy.user(account, tmp_path / "proxy.kubeconfig")


@pytest.fixture
def operator(start: Start) -> OperatorProcess:
    """One that leads."""
    return start()


def settled(operator: OperatorProcess, audit: Audit, services: int = 3) -> Writes:
    """What was written in all, once two comparisons have led to nothing more."""

    def still() -> tuple[Writes] | None:
        before, rounds = audit.writes(), operator.reconciles()
        enough = rounds + 2 * services
        wait_until(lambda: operator.reconciles() >= enough, "two rounds", 60)
        return (before,) if audit.writes() == before else None

    (found,) = wait_until(still, "the operator writes nothing any more", 90)
    return found


def user_name(kubectl: Kubectl) -> str:
    """Of the operator's account, to the API server."""
    return f"system:serviceaccount:{kubectl.namespace}:{ACCOUNT}"


def may(kubectl: Kubectl, verb: str, resource: str, user: str) -> bool:
    """Whether ``user``, given as ``--as=NAME``, has a right; asked by somebody else."""
    try:
        return kubectl.run("auth", "can-i", verb, resource, user).strip() == "yes"
    except Refused:
        return False


def shipped_objects() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(RIGHTS.read_text(encoding="utf-8")))


def moved(body: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The same rights for an account of another namespace; nothing else is changed."""
    text = json.dumps(body).replace(f'"{SHIPPED_NAMESPACE}"', f'"{namespace}"')
    made: dict[str, Any] = json.loads(text)
    if made["kind"].startswith("Cluster"):
        made["metadata"]["name"] += f"-{namespace}"
    if made.get("roleRef", {}).get("kind") == "ClusterRole":
        made["roleRef"]["name"] += f"-{namespace}"
    return made
