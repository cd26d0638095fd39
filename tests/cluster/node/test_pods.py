"""Pods run as on any node: probes, addresses, names, limits, Pod Security, logs, exec."""

import pytest

from tests.cluster.support import node, pods, policies
from tests.cluster.support.kubectl import Kubectl
from tests.integration.support.server import wait_until

WEB = "web"
CLIENT = "client"
# What wget says, or the one who ends it.
UNREACHED = ("bad address", "can't connect", "timed out", "Terminated")


@pytest.fixture(scope="module")
def kubectl(admin: Kubectl) -> Kubectl:
    """In a namespace with two pods that are Ready, and a Service for one of them."""
    inside = node.within(admin, "pods")
    inside.apply(pods.service(WEB))
    for name in (WEB, CLIENT):
        pods.bring(inside, name)
    return inside


def test_pod_is_ready_only_once_its_http_probe_is_answered(kubectl: Kubectl) -> None:
    kubectl.apply(pods.web("slow"))
    wait_until(lambda: _refused_probes(kubectl, "slow"), "a probe was refused", pods.SECONDS)
    assert not pods.ready(kubectl.get("pod", "slow"))
    kubectl.run("exec", "slow", "--", "touch", f"/www/{pods.READY}")
    pods.becoming_ready(kubectl, "slow")


@pytest.mark.parametrize("by", ["address", "short name", "full name"])
def test_service_is_reached_from_another_pod(kubectl: Kubectl, by: str) -> None:
    address = kubectl.get("service", WEB)["spec"]["clusterIP"]
    names = {"address": address, "short name": WEB, "full name": f"{WEB}.pods.svc.cluster.local"}
    assert _answer(kubectl, CLIENT, f"http://{names[by]}/name") == WEB


def test_pod_reaches_itself_through_its_service(kubectl: Kubectl) -> None:
    # Its short name is its own in its hosts file.
    assert _answer(kubectl, WEB, f"http://{WEB}.pods.svc/name") == WEB


def test_pod_reaches_the_api_server_by_its_name(kubectl: Kubectl) -> None:
    # It tells a client that does not encrypt so, which this one cannot.
    answer = _answer(kubectl, CLIENT, "http://kubernetes.default.svc:443/")
    assert "HTTP/1.0 400 Bad Request" in answer


def test_what_pod_security_forbids_is_refused(kubectl: Kubectl) -> None:
    pod = pods.web("careless")
    del pod["spec"]["securityContext"]
    refusal = kubectl.refuses(pod)
    assert 'violates PodSecurity "restricted' in refusal
    assert "runAsNonRoot" in refusal


def test_exec_shows_a_pod_as_it_was_asked_for(kubectl: Kubectl) -> None:
    def shell(script: str) -> str:
        return kubectl.run("exec", CLIENT, "--", "sh", "-c", script)

    assert shell("id -u").strip() == "1000"
    assert "Read-only file system" in shell("touch /x 2>&1 || true")
    assert "tmpfs on /dev/shm" in shell("mount")
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert shell(f"cat {account}/namespace") == kubectl.namespace
    assert "BEGIN CERTIFICATE" in shell(f"cat {account}/ca.crt")


def test_logs_show_what_a_container_says(kubectl: Kubectl) -> None:
    assert kubectl.run("logs", WEB).startswith(f"hello from {WEB}\n")


def test_container_above_its_memory_limit_is_killed_and_its_status_says_so(
    kubectl: Kubectl,
) -> None:
    # The limit counts what is written to a memory-backed volume.
    kubectl.apply(pods.web("greedy", script="cat /dev/zero > /dev/shm/zeros", memory="16Mi"))

    def reason() -> str | None:
        statuses = kubectl.get("pod", "greedy")["status"].get("containerStatuses", ())
        ended = [each["state"].get("terminated") for each in statuses]
        return ended[0]["reason"] if ended and ended[0] else None

    assert wait_until(reason, "the container has ended", pods.SECONDS) == "OOMKilled"


def test_deleted_pod_is_gone_and_its_service_knows(kubectl: Kubectl) -> None:
    kubectl.apply(pods.service("short"))
    pods.bring(kubectl, "short")
    wait_until(lambda: _endpoints(kubectl, "short"), "the endpoint is there", pods.SECONDS)
    kubectl.run("delete", "pod", "short")
    wait_until(lambda: not _endpoints(kubectl, "short"), "the endpoint is gone", pods.SECONDS)


def test_c13_network_policy_lets_in_whom_it_names_and_probes_and_nobody_else(
    kubectl: Kubectl,
) -> None:
    policy = policies.rendered()
    pods.bring(kubectl, "allowed", **policies.ALLOWED)
    pods.bring(kubectl, "served", **policies.selected(policy))
    for client in ("allowed", CLIENT):
        assert policies.reaches(kubectl, client, "served")
    kubectl.apply(policy)

    def kept_out(server: str) -> bool:
        return not policies.reaches(kubectl, CLIENT, server)

    wait_until(lambda: kept_out("served"), "the foreign pod is kept out", pods.SECONDS)
    assert policies.reaches(kubectl, "allowed", "served")
    # A pod that comes now is Ready only when the kubelet's probe gets in.
    pods.bring(kubectl, "later", **policies.selected(policy))
    wait_until(lambda: kept_out("later"), "it is kept out of a new pod, too", pods.SECONDS)
    assert policies.reaches(kubectl, "allowed", "later")
    kubectl.run("delete", "networkpolicy", policy["metadata"]["name"])
    wait_until(lambda: not kept_out("served"), "without it, everyone gets in", pods.SECONDS)


def _answer(kubectl: Kubectl, pod: str, address: str) -> str:
    """Retried, because kube-proxy and DNS learn of a new Service a moment after it is there."""

    def ask() -> str:
        command = f"timeout 5 wget -q -O - {address} 2>&1 || true"
        said = kubectl.run("exec", pod, "--", "sh", "-c", command).strip()
        return "" if any(each in said for each in UNREACHED) else said

    return wait_until(ask, f"{address} answers in {pod}", pods.SECONDS)


def _refused_probes(kubectl: Kubectl, pod: str) -> list[str]:
    selector = f"involvedObject.name={pod},reason=Unhealthy"
    found = kubectl.get("events", "--field-selector", selector)["items"]
    return [each["message"] for each in found if "404" in each["message"]]


def _endpoints(kubectl: Kubectl, service: str) -> list[str]:
    selector = f"kubernetes.io/service-name={service}"
    slices = kubectl.get("endpointslices", "--selector", selector)["items"]
    listed = [endpoint for each in slices for endpoint in each["endpoints"] or ()]
    return [each["addresses"][0] for each in listed if each["conditions"].get("ready")]
