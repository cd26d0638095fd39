"""C16: pods come, go, are moved and die, and users are served."""

import json
from collections.abc import Iterator

from tests.cluster.support import inside, pods
from tests.cluster.support.kubectl import Object
from tests.cluster.support.watching import Seen, Watch
from tests.integration.support.server import wait_until

from .conftest import PODS, Rolling, all_served

# Retryable, by status: what it must say besides.
RETRYABLE = {"503", "UNAVAILABLE"}


def test_c16_new_version_waits_for_warm(rolling: Rolling) -> None:
    """At no time are fewer pods Ready than there should be."""
    before = names(rolling.settled())
    with watched(rolling) as watch:
        rolling.change(requests={"maxQueue": 17})
        after = rolling.settled()
    assert not before & names(after)
    assert min(ready_counts(watch.seen, PODS)) == PODS
    # The next change is measured against these.
    rolling.spec["requests"] = {"maxQueue": 17}


def test_c16_scaled_up_and_down(rolling: Rolling) -> None:
    rolling.kubectl.run("scale", "dsvc", rolling.name, f"--replicas={PODS + 1}")
    came = rolling.settled(PODS + 1)
    # Which pod a new connection gets is chance.
    wait_until(lambda: all(pictures(rolling, each) for each in came), "each draws for users", 120)
    rolling.kubectl.run("scale", "dsvc", rolling.name, f"--replicas={PODS}")
    rolling.settled(PODS)


def test_c16_pod_is_evicted(rolling: Rolling) -> None:
    """As the drain of a node does it."""
    first, *_ = rolling.settled()
    name, namespace = first["metadata"]["name"], rolling.kubectl.namespace
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    rolling.kubectl.run("create", "--raw", path, "-f", "-", text=json.dumps(body))
    rolling.kubectl.vanishing("pod", name)
    rolling.settled()


def test_c16_killed_engine_costs_only_what_it_held(rolling: Rolling) -> None:
    """And what it held is told to come again. The pod starts anew, in its place."""
    victim, *_ = rolling.settled()
    before = len(rolling.load.outcomes)
    wait_until(lambda: inside.engine(victim).cpu_percent(0.05) > 50, "it draws", 60)
    inside.engine(victim).kill()
    wait_until(lambda: restarts(rolling, victim) == 1, "it is started again", 60)
    ended = restarted(rolling, victim)["lastState"]["terminated"]
    assert ended["exitCode"] == 6
    assert "killed by signal 9" in ended["message"]
    rolling.settled()
    failed = rolling.load.failures(before)
    answered = [each for each in failed if each.sent]
    assert {each.status for each in answered} <= RETRYABLE, answered
    assert all(each.retry_after for each in answered), answered
    # Each user holds one request, and asks again where it is told to.
    assert len(answered) <= 4, answered
    # Until the node has taken notice, the pod refuses connections: nothing was sent to it.
    others = {each.status for each in failed if not each.sent}
    assert others <= {"ConnectionRefusedError", "UNAVAILABLE"}, failed
    rolling.load.excuse(failed)


def test_c16_new_version_on_kserve(both: dict[str, Rolling]) -> None:
    hare = both["KServe"]
    before = names(hare.settled(1))
    users = hare.load.running(kept=2, fresh=1, calls=1)
    with users, all_served(hare.load), watched(hare) as watch:
        hare.change(requests={"maxQueue": 17})
        after = hare.settled(1)
    assert not before & names(after)
    assert min(ready_counts(watch.seen, 1)) == 1


def names(several: list[Object]) -> set[str]:
    return {each["metadata"]["name"] for each in several}


def watched(rolling: Rolling) -> Watch:
    path = f"/api/v1/namespaces/{rolling.kubectl.namespace}/pods"
    return Watch(rolling.kubectl, path, labelSelector=rolling.selector)


def ready_counts(seen: list[Seen], enough: int) -> Iterator[int]:
    """How many pods were Ready and not told to end, at each time from the first on at which they
    were ``enough``: a watch begins with what is there, one by one.
    """
    known: dict[str, bool] = {}
    begun = False
    for each in seen:
        body = each.body
        ends = each.kind == "DELETED" or "deletionTimestamp" in body["metadata"]
        known[body["metadata"]["name"]] = pods.ready(body) and not ends
        count = sum(known.values())
        begun = begun or count >= enough
        if begun:
            yield count


def pictures(rolling: Rolling, pod: Object) -> float:
    """How many it has drawn for users, by its own count."""
    path = f"/api/v1/namespaces/{rolling.kubectl.namespace}/pods"
    name = pod["metadata"]["name"]
    text = rolling.kubectl.run("get", "--raw", f"{path}/{name}:8080/proxy/metrics")
    lines = [each for each in text.splitlines() if each.startswith("kiln_requests_total{")]
    return sum(float(each.rpartition(" ")[2]) for each in lines if 'outcome="ok"' in each)


def restarted(rolling: Rolling, pod: Object) -> Object:
    found: Object = rolling.kubectl.get("pod", pod["metadata"]["name"])
    (status,) = found["status"]["containerStatuses"]
    return status


def restarts(rolling: Rolling, pod: Object) -> int:
    count: int = restarted(rolling, pod)["restartCount"]
    return count
