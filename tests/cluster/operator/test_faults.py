"""The operator when others fail: its rival, the API server, its own watches (C10)."""

from pathlib import Path

from tests.cluster.support import up
from tests.cluster.support.audit import Audit
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

from .conftest import Start, settled

TAKEOVER_SECONDS = 30
LEASE = ("lease", "kiln-operator")
NAMES = ("fox", "hen", "owl")
HUNDRED = 100
CHILDREN = ("deployments", "services", "networkpolicies")


def holder(kubectl: Kubectl) -> str:
    found = kubectl.find(*LEASE)
    name: str = (found or {}).get("spec", {}).get("holderIdentity", "")
    return name


def test_c10_of_two_operators_one_works_and_both_are_healthy(
    kubectl: Kubectl, services: Services, start: Start
) -> None:
    first = start()
    second = start(leads=False)
    services.apply("fox")
    services.until("fox", "Pulling")
    assert first.writes() > 0
    assert not second.events("cluster_read")
    assert first.ask("/readyz") == (200, "leading")
    assert second.ask("/readyz") == (200, "standing by")
    for each in (first, second):
        assert each.ask("/healthz") == (200, "ok")


def test_c10_a_leader_that_is_killed_at_work_is_followed_in_time_whatever_the_clocks_say(
    kubectl: Kubectl, services: Services, audit: Audit, start: Start
) -> None:
    first = start(skew=60)
    second = start("--resync", "3", leads=False, skew=-60)
    for name in NAMES:
        services.apply(name)
    wait_until(lambda: audit.writes(), "it is at work")
    first.kill()
    second.wait_for("cluster_read", TAKEOVER_SECONDS)
    assert int(kubectl.get(*LEASE)["spec"]["leaseTransitions"]) == 1
    for name in NAMES:
        services.until(name, "Pulling")
    written = settled(second, audit)
    for name in NAMES:
        assert [written[kind, name] for kind in CHILDREN] == [1, 1, 1], "no work was done twice"
    services.apply("fox", replicas=2)
    services.pods("fox", count=2)


def test_c10_a_leader_that_is_told_to_stop_hands_over_at_once(
    kubectl: Kubectl, services: Services, start: Start
) -> None:
    first = start()
    second = start(leads=False)
    first.close()
    assert first.process.returncode == 0
    second.wait_for("cluster_read", 10)


def test_c10_a_leader_whose_lease_was_taken_ends(
    kubectl: Kubectl, services: Services, start: Start
) -> None:
    operator = start()
    kubectl.run("patch", *LEASE, "--type=merge", "-p", '{"spec": {"holderIdentity": "somebody"}}')
    assert operator.process.wait(TAKEOVER_SECONDS) == 4
    assert "the lease could not be renewed in time" in operator.text()


def test_c10_an_api_server_that_restarts_while_it_is_written_to_is_outlived(
    our_cluster: Path, kubectl: Kubectl, services: Services, audit: Audit, start: Start
) -> None:
    operator = start("--resync", "5")
    operator.excused = True  # an API server that has just started does not know all rights yet
    for name in NAMES:
        services.apply(name)
    wait_until(lambda: audit.writes(), "it is at work")
    up.printed("stop", "kube-apiserver", "--folder", str(our_cluster))
    up.printed("start", "kube-apiserver", "--folder", str(our_cluster))
    wait_until(lambda: kubectl.run("get", "--raw", "/readyz") == "ok", "the API server is back", 60)
    if operator.process.poll() is not None:  # it may have lost its lease: Kubernetes restarts it
        assert operator.process.returncode == 4
        operator = start("--resync", "5")
        operator.excused = True
    for name in NAMES:
        services.apply(name, replicas=2)
    for name in NAMES:
        services.make_ready(name, count=2)
        services.until(name, "Ready")
    wait_until(lambda: operator.ask("/healthz") == (200, "ok"), "healthy again", 60)
    written = settled(operator, audit)
    for name in NAMES:
        assert written["deployments", name] <= 2, "when it was made, and when its spec changed"
        assert written["services", name] <= 1


def test_c08_the_operator_counts_what_it_does(
    services: Services, operator: OperatorProcess
) -> None:
    services.apply("fox")
    services.until("fox", "Pulling")
    status, text = operator.ask("/metrics")
    assert status == 200
    assert "kiln_operator_leader 1.0" in text
    assert 'kiln_operator_writes_total{kind="Deployment",verb="apply"} 1.0' in text
    wait_until(
        lambda: 'kiln_operator_services{phase="Pulling"} 1.0' in operator.ask("/metrics")[1],
        "the service is counted by its phase",
    )


def test_c08_a_hundred_services_at_rest_cost_no_write(
    kubectl: Kubectl, services: Services, audit: Audit, start: Start
) -> None:
    several = [f"fox-{number}" for number in range(HUNDRED)]
    kubectl.apply(*(services.body(each, backend="Deployment", replicas=0) for each in several))
    operator = start("--resync", "2")
    made = settled(operator, audit, HUNDRED)
    for each in several:
        assert [made[kind, each] for kind in CHILDREN] == [1, 1, 1]
    rounds = operator.reconciles()
    wait_until(lambda: operator.reconciles() >= rounds + 2 * HUNDRED, "two rounds", 60)
    assert audit.writes() == made
