"""The operator when others fail: its rival, the API server, its own watches (C10)."""

from pathlib import Path

from tests.cluster.support import up
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

from .conftest import Start

TAKEOVER_SECONDS = 30
LEASE = ("lease", "kiln-operator")


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


def test_c10_a_leader_that_is_killed_is_followed_in_time(
    kubectl: Kubectl, services: Services, start: Start
) -> None:
    first = start()
    second = start(leads=False)
    services.apply("fox")
    services.until("fox", "Pulling")
    first.kill()
    second.wait_for("cluster_read", TAKEOVER_SECONDS)
    services.apply("fox", replicas=2)
    services.pods("fox", count=2)
    assert int(kubectl.get(*LEASE)["spec"]["leaseTransitions"]) == 1


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


def test_c10_an_api_server_that_restarts_is_outlived(
    our_cluster: Path, kubectl: Kubectl, services: Services, start: Start
) -> None:
    operator = start("--resync", "5")
    operator.excused = True  # an API server that has just started does not know all rights yet
    services.apply("fox")
    services.until("fox", "Pulling")
    up.printed("stop", "kube-apiserver", "--folder", str(our_cluster))
    up.printed("start", "kube-apiserver", "--folder", str(our_cluster))
    wait_until(lambda: kubectl.run("get", "--raw", "/readyz") == "ok", "the API server is back", 60)
    if operator.process.poll() is not None:  # it may have lost its lease: Kubernetes restarts it
        assert operator.process.returncode == 4
        operator = start("--resync", "5")
        operator.excused = True
    services.apply("fox", replicas=2)
    services.pods("fox", count=2)
    services.make_ready("fox", count=2)
    services.until("fox", "Ready")
    wait_until(lambda: operator.ask("/healthz") == (200, "ok"), "healthy again", 60)


def test_c10_a_change_that_no_watch_told_is_found(
    kubectl: Kubectl, services: Services, start: Start
) -> None:
    """The operator is stopped for a while, as if its watches were dead."""
    operator = start("--leader-elect", "false", "--resync", "2")
    services.apply("fox")
    services.until("fox", "Pulling")
    operator.suspend()
    kubectl.run("delete", "service", "fox")
    kubectl.run("delete", "networkpolicy", "fox")
    operator.resume()
    kubectl.appearing("service", "fox")
    kubectl.appearing("networkpolicy", "fox")


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
