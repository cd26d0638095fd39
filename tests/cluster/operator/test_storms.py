"""The operator when the API server, or the way to it, is bad for a while (C10): nothing is written
twice, and the world converges.

What is written is counted by the API server itself, in its audit log.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.support.audit import Audit
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.proxy import Answer, Broken, Call, Fault, Lost, Proxy
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

from .conftest import Start

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


@pytest.fixture
def proxy(account: Kubectl) -> Iterator[Proxy]:
    with Proxy(account.kubeconfig).running() as running:
        yield running


@pytest.fixture
def astray(proxy: Proxy, account: Kubectl, tmp_path: Path) -> Kubectl:
    """The operator's account, whose requests go through the proxy."""
    return proxy.user(account, tmp_path / "proxy.kubeconfig")


def quiet(operator: OperatorProcess, audit: Audit) -> Counter[tuple[str, str]]:
    """What was written in all, once two comparisons have led to nothing more."""

    def still() -> tuple[Counter[tuple[str, str]]] | None:
        before, rounds = audit.writes(), operator.reconciles()
        wait_until(lambda: operator.reconciles() >= rounds + 2 * len(NAMES), "two rounds", 60)
        return (before,) if audit.writes() == before else None

    (found,) = wait_until(still, "the operator writes nothing any more", 90)
    return found


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
    written = quiet(operator, audit)
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
