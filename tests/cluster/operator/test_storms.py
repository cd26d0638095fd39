"""The operator when the API server, or the way to it, is bad for a while (C10): nothing is written
twice, and the world converges.

What is written is counted by the API server itself, in its audit log.
"""

import itertools

from tests.cluster.support.audit import Audit
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.proxy import Answer, Broken, Call, Fault, Lost, Proxy
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

from .conftest import Start, settled

WRITES = (
    Answer(409),
    Answer(429, retry_after=1),
    Answer(500),
    Answer(503, page=True),
    Answer(410),
    Lost(),
)
READS = (Answer(410), Answer(429, retry_after=1), Answer(500), Answer(504, page=True), Lost())
# Each befalls one watch. kopf knows the second and the third of them.
WATCHES = (Answer(410), Broken(410), Answer(429), Broken(500), Answer(503), Lost())
NAMES = ("fox", "hen", "owl")


class Storm:
    """Every fourth request goes wrong, in one way after the other; no watch does."""

    def __init__(self) -> None:
        self.calls = 0
        self.given: set[tuple[bool, Fault]] = set()
        self._faults = {True: itertools.cycle(WRITES), False: itertools.cycle(READS)}

    def __call__(self, call: Call) -> Fault | None:
        self.calls += not call.watch
        if call.watch or self.calls % 4:
            return None
        fault = next(self._faults[call.writes])
        if fault == Answer(410) and "/namespaces/" not in call.path:
            return None  # there is no version of what is asked for there
        self.given.add((call.writes, fault))
        return fault

    @property
    def complete(self) -> bool:
        return len(self.given) == len(WRITES) + len(READS)


def test_c10_a_storm_of_errors_is_outlived_and_nothing_is_written_twice(
    services: Services, proxy: Proxy, astray: Kubectl, audit: Audit, start: Start
) -> None:
    storm = Storm()
    proxy.spoil = storm
    operator = start("--resync", "3", user=astray)
    for name in NAMES:
        services.apply(name)
    for name in NAMES:
        services.until(name, "Pulling")
        services.apply(name, replicas=2)
    wait_until(lambda: storm.complete, f"every fault: {storm.given}", 60)
    proxy.spoil = lambda call: None

    for name in NAMES:
        services.pods(name, count=2)
        services.until(name, "Pulling")
    written = settled(operator, audit)
    for name in NAMES:
        assert written["deployments", name] == 2, "when it was made, and when its spec changed"
        assert written["services", name] == written["networkpolicies", name] == 1
    assert operator.process.poll() is None
    wait_until(lambda: operator.ask("/healthz") == (200, "ok"), "healthy", 60)


def test_c10_watches_that_end_in_any_way_are_begun_anew(
    kubectl: Kubectl, services: Services, proxy: Proxy, astray: Kubectl, start: Start
) -> None:
    faults = list(WATCHES)
    proxy.spoil = lambda call: faults.pop() if call.watch and faults else None
    operator = start("--resync", "3600", user=astray)
    wait_until(lambda: not faults, "every fault", 60)
    operator.wait_for("watches_ended")  # kopf does not outlive all of these
    services.apply("fox")
    services.until("fox", "Pulling")
    kubectl.run("delete", "service", "fox")
    kubectl.appearing("service", "fox")


def test_c10_watches_that_stall_are_noticed_and_what_they_hide_is_found(
    kubectl: Kubectl, services: Services, proxy: Proxy, astray: Kubectl, start: Start
) -> None:
    """No byte comes, and the connection stays open."""
    operator = start("--resync", "1", user=astray)
    services.apply("fox")
    services.until("fox", "Pulling")
    assert operator.ask("/healthz") == (200, "ok")
    proxy.hold = lambda call: call.watch
    kubectl.run("delete", "service", "fox")
    kubectl.appearing("service", "fox")
    rounds = itertools.count()

    def unhealthy() -> bool:
        kubectl.run("annotate", "service", "fox", f"round={next(rounds)}", "--overwrite")
        status, text = operator.ask("/healthz")
        return status == 503 and "the watches missed changes" in text

    wait_until(unhealthy, "the process asks to be restarted", 60)
    proxy.hold = lambda call: False
    wait_until(lambda: operator.ask("/healthz") == (200, "ok"), "healthy again", 60)


def test_c10_a_leader_that_was_stopped_for_a_while_writes_nothing_when_it_goes_on(
    kubectl: Kubectl, services: Services, proxy: Proxy, astray: Kubectl, start: Start
) -> None:
    """As on a node that hangs, with the worst luck: it was just asking for its lease, and the new
    spec has not reached it, but that its Deployment was changed.
    """
    first = start(user=astray)
    second = start(leads=False)
    services.apply("fox")
    services.until("fox", "Pulling")
    asked: list[Call] = []

    def hold(call: Call) -> bool:
        if "/leases" in call.path:
            asked.append(call)
            return True
        return call.watch and call.path.endswith("/diffusionservices")

    proxy.hold = hold
    wait_until(lambda: asked, "it asks for its lease", 30)
    first.suspend()
    second.wait_for("cluster_read", 30)
    services.apply("fox", replicas=3)
    services.pods("fox", count=3)

    passed = len(proxy.passed)
    first.resume()
    first.wait_for("reconcile_failed")
    assert first.process.wait(30) == 4
    assert not [call for call in proxy.passed[passed:] if call.writes]
    assert kubectl.get("deployment", "fox")["spec"]["replicas"] == 3
