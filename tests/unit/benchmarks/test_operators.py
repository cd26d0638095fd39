"""The parts of the operators' comparison that need no cluster."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.errors import NotMeasurable
from benchmarks.operators import by_hand
from benchmarks.operators.accounts import BY_HAND, shipped_rules
from benchmarks.operators.calls import FLOWS, Calls, dispatched
from benchmarks.operators.contestant import SPEC
from benchmarks.operators.ledger import Ledger
from benchmarks.operators.sightings import KINDS, Sightings
from benchmarks.samples import Sample, milliseconds
from benchmarks.scenarios import operator
from controller.api.kinds import BY_NAME, SERVICE
from controller.api.validation import validated
from controller.desired.render import render
from controller.planning import pin, plan
from controller.service import Service

FOX = ("art", "fox")
BODY: dict[str, Any] = {
    "apiVersion": "kiln.dev/v1alpha1",
    "kind": "DiffusionService",
    "metadata": {"namespace": "art", "name": "fox", "uid": "1", "generation": 3},
    "spec": SPEC,
}


def child(kind: str, generation: int = 1, event: str = "ADDED") -> dict[str, Any]:
    metadata = {"namespace": "art", "labels": {"kiln.dev/service": "fox"}, "generation": generation}
    return {"type": event, "object": {"metadata": metadata}}


def service(event: str = "MODIFIED", **status: Any) -> dict[str, Any]:
    metadata = {"namespace": "art", "name": "fox"}
    return {"type": event, "object": {"metadata": metadata, "status": status}}


def test_a_service_is_made_when_the_last_child_appears() -> None:
    sightings = Sightings()
    for second, kind in enumerate(KINDS):
        assert sightings.made(FOX) is None
        sightings.take(BY_NAME[kind], child(kind), float(second))
    sightings.take(BY_NAME[KINDS[0]], child(KINDS[0]), 99.0)
    assert sightings.made(FOX) == len(KINDS) - 1


def test_the_children_that_are_watched_are_those_that_both_make() -> None:
    parsed = Service.read(BODY)
    rendered = render(plan(parsed, pin(parsed, "x"), kserve=False))
    assert {each["kind"] for each in rendered} == set(KINDS) == set(by_hand._calls())


def test_a_status_counts_from_its_first_phase() -> None:
    sightings = Sightings()
    sightings.take(SERVICE, service(observedGeneration=-1), 1.0)
    assert sightings.told(FOX) is None
    for second in (2.0, 3.0):
        sightings.take(SERVICE, service(phase="Pending"), second)
    assert sightings.told(FOX) == 2.0


def test_a_change_is_a_new_generation() -> None:
    sightings = Sightings()
    for second, generation in enumerate((1, 1, 2, 2)):
        sightings.take(BY_NAME["Deployment"], child("Deployment", generation), float(second))
    assert sightings.deployment(FOX).generation == 2
    assert sightings.deployment(FOX).first == 0.0


def test_a_service_is_gone_with_its_last_child() -> None:
    sightings = Sightings()
    sightings.take(SERVICE, service(), 1.0)
    sightings.take(BY_NAME["Service"], child("Service"), 2.0)
    assert not sightings.gone(FOX)
    sightings.take(SERVICE, service("DELETED"), 3.0)
    assert not sightings.gone(FOX)
    sightings.take(BY_NAME["Service"], child("Service", event="DELETED"), 4.0)
    assert sightings.gone(FOX)


def test_what_does_not_come_ends_the_measurement() -> None:
    with pytest.raises(NotMeasurable, match="children of fox: not after 0 seconds"):
        Sightings().until_all(lambda _: False, [FOX], "children of fox", 0.0)


def test_calls_are_read_from_the_metrics_of_the_api_server() -> None:
    name = "apiserver_flowcontrol_dispatched_requests_total"
    lines = (
        f'{name}{{flow_schema="benchmark-kiln-read",priority_level="workload-low"}} 3',
        f'{name}{{flow_schema="benchmark-kiln-read",priority_level="exempt"}} 1e+03',
        f'{name}{{flow_schema="benchmark-kiln-write",priority_level="workload-low"}} 7',
        'apiserver_flowcontrol_rejected_requests_total{flow_schema="benchmark-kiln-read"} 5',
    )
    assert dispatched("\n".join(lines)) == {"benchmark-kiln-read": 1003, "benchmark-kiln-write": 7}
    assert (Calls(5, 9) - Calls(3, 2)).all == 9


def test_no_watch_and_no_lease_is_counted_as_a_read_or_a_write() -> None:
    """The server takes the first that fits."""
    first = {verb: next(flow.name for flow in FLOWS[1:] if {verb, "*"} & set(flow.verbs))
             for verb in ("get", "list", "watch", "create", "patch", "delete")}  # fmt: skip
    assert first == {
        "get": "read", "list": "read", "watch": "watch",
        "create": "write", "patch": "write", "delete": "write",
    }  # fmt: skip
    assert (FLOWS[0].name, FLOWS[0].resources) == ("lease", ("leases",))


def test_kiln_has_the_rights_that_ship_and_neither_has_all() -> None:
    granted = [rule for rules in (shipped_rules(), BY_HAND) for rule in rules]
    assert any("leases" in rule["resources"] for rule in shipped_rules())
    assert not any("*" in [*rule["resources"], *rule["verbs"]] for rule in granted)


def test_the_measured_spec_is_a_valid_one() -> None:
    assert validated(BODY)["spec"]["replicas"] == 1, "the default"


def test_a_ratio_stands_beside_what_both_did() -> None:
    ledger = Ledger(("ours", "theirs"))
    ledger.note("time", "ours", milliseconds([0.1, 0.3, 0.2]))
    ledger.note("time", "theirs", milliseconds([0.4]))
    ledger.note("writes", "ours", Sample((0.0,), "calls"))
    ledger.note("writes", "theirs", Sample((0.0,), "calls"))
    time, writes = ledger.rows()
    assert list(time.samples) == ["ours", "theirs", "ratio"]
    assert time.samples["ratio"].median == pytest.approx(0.5)
    assert list(writes.samples) == ["ours", "theirs"], "nothing over nothing says nothing"


def test_goals_are_missed_by_writes_that_change_nothing_and_by_slower_children() -> None:
    ours, theirs = operator.KILN.name, operator.HAND.name
    ledger = Ledger((ours, theirs))
    ledger.note("start to ready, 1 known", ours, Sample((1.0,), "s"))
    for after in ("after all that", "after a start"):
        ledger.note(f"memory, 1 known, {after}", ours, Sample((151.0,), "MiB"))
    ledger.note("an event that changes nothing: writes", ours, Sample((0.05,), "calls"))
    ledger.note("a resync of 1: writes", ours, Sample((0.0,), "calls"))
    for question in ("apply to children, 1 known", "apply to children, 1 known, p99"):
        ledger.note(question, ours, Sample((3.0,), "ms"))
        ledger.note(question, theirs, Sample((2.0,), "ms"))
    scale = operator.Scale(known=(1,), counted=1, resync=1.0, resyncs=1)
    met = [goal.met for goal in operator._goals(ledger, scale)]
    assert met == [True, False, False, False, True, False, False]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The calls that the operator by hand makes, of which every creation finds the object there."""
    made: list[tuple[str, str]] = []

    def calls(kind: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
        def create(namespace: str, body: dict[str, Any]) -> None:
            assert (namespace, body["metadata"]["ownerReferences"][0]["uid"]) == ("art", "1")
            made.append(("create", kind))
            raise by_hand.k8s.ApiException(status=by_hand.EXISTS)

        def change(name: str, namespace: str, body: dict[str, Any], **_: Any) -> None:
            assert (name, namespace, body["kind"]) == ("fox", "art", kind)
            made.append(("patch", kind))

        return create, change

    monkeypatch.setattr(by_hand, "_calls", lambda: {kind: calls(kind) for kind in KINDS})
    return made


def test_by_hand_each_child_is_created_or_patched(answers: list[tuple[str, str]]) -> None:
    patch = by_hand.kopf.Patch()
    by_hand.bring_about(by_hand.kopf.Body(BODY), patch)
    assert answers == [(verb, kind) for kind in KINDS for verb in ("create", "patch")]
    assert patch["status"] == {"observedGeneration": 3, "url": "http://fox.art.svc"}
