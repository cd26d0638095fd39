"""From pods to conditions (C05). What real pods make of it is in tests/cluster."""

from typing import Any

import pytest

from controller.api.kinds import DEPLOYMENT, INFERENCE_SERVICE, POD
from controller.api.names import SPEC_HASH_ANNOTATION
from controller.api.status import Pinned, Status
from controller.desired.plan import Target
from controller.observed import Observed, ServiceKey
from controller.parts import PartState, read_part, with_telling
from controller.reasons import Finding
from controller.telling import Told
from controller.verdict import failed, verdict
from model.contract.state import State

from .conftest import PlanOf

KEY = ServiceKey("art", "fox")
NEW, OLD = "new", "old"
PINNED = Pinned(spec="", defaults=1, image="")
NOW = "2026-01-01T00:00:00Z"


def pod(name: str, *, ready: bool = False, spec_hash: str = NEW, part: str = "front",
        address: str | None = None) -> dict[str, Any]:  # fmt: skip
    truth = "True" if ready else "False"
    status = {"name": "kserve-container", "state": {"running": {}}, "started": ready}
    return {
        "metadata": {
            "name": name,
            "namespace": "art",
            "labels": {"kiln.dev/service": "fox", "kiln.dev/part": part},
            "annotations": {SPEC_HASH_ANNOTATION: spec_hash},
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": truth}],
            "containerStatuses": [status],
            **({"podIP": address} if address else {}),
        },
    }


def observed(*pods: dict[str, Any], **children: Any) -> Observed:
    made = Observed()
    for each in pods:
        made.put(POD, each)
    labels = {"labels": {"kiln.dev/service": "fox"}, "namespace": "art"}
    if "inference_service" in children:
        body = {"metadata": {"name": "fox", **labels}, "status": children["inference_service"]}
        made.put(INFERENCE_SERVICE, body)
    if "deployment" in children:
        made.put(DEPLOYMENT, {"metadata": {"name": "fox", **labels}, **children["deployment"]})
    return made


@pytest.fixture
def judge(plan_of: PlanOf) -> Any:
    """The status and its conditions by type."""

    def make(
        spec: dict[str, Any],
        seen: Observed,
        target: Target = Target.DEPLOYMENT,
        trouble: tuple[Finding, ...] = (),
        told: dict[str, Told | None] | None = None,
    ) -> tuple[Status, dict[str, str]]:
        plan = plan_of(spec, target)
        front, *workers = (read_part(plan, each, KEY, seen, NEW) for each in plan.parts)
        parts = (with_telling(front, told or {}), *workers)
        status = verdict(plan, parts, PINNED, None, trouble, NOW)
        assert status.conditions is not None
        return status, {each.type: str(each.status) for each in status.conditions}

    return make


def reason(status: Status) -> str:
    assert status.conditions is not None
    return status.conditions[0].reason


def test_c05_all_pods_of_this_spec(judge: Any) -> None:
    status, found = judge({}, observed(pod("a", ready=True)))
    assert reason(status) == status.phase == "Ready"
    assert found == {
        "Ready": "True",
        "Available": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "ModelLoaded": "True",
        "WarmedUp": "True",
    }


def test_c05_pods_of_an_earlier_spec_serve_and_are_not_ready(judge: Any) -> None:
    status, found = judge({}, observed(pod("a", ready=True, spec_hash=OLD)))
    assert (reason(status), found["Ready"], found["Available"]) == ("Creating", "False", "True")
    assert found["Reconciling"] == "True"


def test_c05_a_rollout_that_is_nearly_over(judge: Any) -> None:
    seen = observed(pod("a", ready=True), pod("b", ready=True, spec_hash=OLD))
    status, found = judge({}, seen)
    assert (reason(status), found["Ready"]) == ("RollingOut", "True")
    assert found["Reconciling"] == "True", "kstatus waits for the end"


def test_c05_one_pod_of_two_is_not_enough(judge: Any) -> None:
    seen = observed(pod("a", ready=True), pod("b"))
    status, found = judge({"replicas": 2}, seen)
    assert (reason(status), found["Ready"], found["Available"]) == ("Loading", "False", "True")
    assert status.ready == "1/2"


def test_c05_with_an_autoscaler_the_least_number_is_enough(judge: Any) -> None:
    seen = observed(pod("a", ready=True), pod("b"), deployment={"spec": {"replicas": 2}})
    status, found = judge({"scaling": {"min": 1, "max": 4}}, seen)
    assert (found["Ready"], status.ready) == ("True", "1/2")


def test_c12_suspended_and_scaled_to_zero_are_told_apart(judge: Any) -> None:
    status, found = judge({"suspend": True}, observed())
    assert (reason(status), found["Ready"], found["Stalled"]) == ("Suspended", "False", "False")
    status, found = judge({"replicas": 0}, observed())
    assert (reason(status), found["Reconciling"]) == ("ScaledToZero", "False")


def test_c05_trouble_with_a_child_is_told_first(judge: Any) -> None:
    trouble = (Finding("Conflict", "Service fox is not ours"),)
    status, found = judge({}, observed(pod("a", ready=True)), trouble=trouble)
    assert (reason(status), found["Ready"], found["Stalled"]) == ("Conflict", "False", "True")
    assert found["Available"] == "True"


def test_c02_workers_say_why_they_have_no_warmup(judge: Any) -> None:
    roles: dict[str, Any] = {"encoder": {}, "denoiser": {}, "decoder": {}}
    status, found = judge({"roles": roles}, observed(pod("a", ready=True)))
    assert found["RolesReady"] == "False"
    told = {each.name: (each.warmup.mode, each.warmup.reason) for each in status.roles}
    assert told["router"] == ("Server", None)
    assert told["encoder"] == ("Off", "DisaggregatedRole")


def workers(ready: str = "encoder denoiser decoder", **more: Any) -> list[dict[str, Any]]:
    """One pod of each role."""
    return [
        pod(role, ready=role in ready, part=role, **more)
        for role in ("encoder", "denoiser", "decoder")
    ]


ROLES: dict[str, Any] = {"encoder": {}, "denoiser": {}, "decoder": {}}


def test_c02_ready_is_what_its_router_is(judge: Any) -> None:
    """Which has proven at least one of each role. A role that lacks pods is told."""
    spec = {"roles": {**ROLES, "denoiser": {"replicas": 2}}}
    second = pod("second", part="denoiser")
    router = pod("a", ready=True)
    status, found = judge(spec, observed(router, *workers(), second))
    assert (found["Ready"], reason(status)) == ("True", "Degraded")
    assert "denoiser 1/2" in status.conditions[0].message
    assert (found["Reconciling"], found["Available"], found["RolesReady"]) == ("True",) * 3

    status, found = judge(spec, observed(pod("a"), *workers(), second))
    assert (found["Ready"], found["Available"]) == ("False", "False")
    status, found = judge(spec, observed(router, *workers("encoder decoder"), second))
    assert found["Ready"] == found["RolesReady"] == "False", "nobody is left of a role"
    old = pod("old", ready=True, part="denoiser", spec_hash=OLD)
    status, found = judge(spec, observed(router, *workers(), old))
    assert found["Ready"] == "False", "those of this spec have yet to take its place"
    status, found = judge({"roles": ROLES}, observed(router, *workers()))
    assert (found["Ready"], reason(status), found["Reconciling"]) == ("True", "Ready", "False")


def test_c05_a_role_has_as_many_proven_pods_as_each_router_says(judge: Any) -> None:
    seen = observed(pod("a", ready=True), pod("b", ready=True), *workers())
    told = {
        "a": Told(State.READY, proven={"encoder": 2, "denoiser": 1, "decoder": 0}),
        "b": Told(State.READY, proven={"encoder": 1, "denoiser": 1, "decoder": 3}),
    }
    status, _ = judge({"replicas": 2, "roles": ROLES}, seen, told=told)
    proven = {each.name: each.proven for each in status.roles}
    assert proven == {"router": None, "encoder": 1, "denoiser": 1, "decoder": 0}
    status, _ = judge({"replicas": 2, "roles": ROLES}, seen)
    assert [each.proven for each in status.roles] == [None] * 4, "nobody told"


def test_c02_pods_that_somebody_else_scaled_are_those_that_should_be_there(judge: Any) -> None:
    seen = observed(pod("a", ready=True), *workers())
    labels = {"labels": {"kiln.dev/service": "fox"}, "namespace": "art"}
    scaled = {"metadata": {"name": "fox-denoiser", **labels}, "spec": {"replicas": 3}}
    seen.put(DEPLOYMENT, scaled)
    status, _ = judge({"roles": ROLES}, seen)
    assert {each.name: each.replicas for each in status.roles}["denoiser"] == 3


def test_c05_nothing_is_called_warm_that_has_no_warmup(judge: Any) -> None:
    _, found = judge({"warmup": {"mode": "Off"}}, observed(pod("a", ready=True)))
    assert (found["Ready"], found["WarmedUp"]) == ("True", "False")


def test_c05_kserves_ready_is_not_asked(judge: Any) -> None:
    theirs = {
        "observedGeneration": 7,
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    status, found = judge({}, observed(inference_service=theirs), Target.KSERVE)
    assert (reason(status), found["Ready"]) == ("WaitingForKServe", "False")


def test_c05_kserves_address_that_fails_is_told(judge: Any) -> None:
    theirs = {"conditions": [{"type": "IngressReady", "status": "False", "message": "no gateway"}]}
    seen = observed(pod("a", ready=True), inference_service=theirs)
    status, found = judge({}, seen, Target.KSERVE)
    assert (reason(status), found["Ready"]) == ("WaitingForKServe", "False")
    assert "no gateway" in status.conditions[0].message


WARM = Told(State.READY, 2, 2, 12.3, ("a 512x512", "b 768x768"))


def condition(status: Status, kind: str) -> tuple[str, str, str]:
    found = next(each for each in status.conditions or () if each.type == kind)
    return str(found.status), found.reason, found.message


def test_c05_a_server_that_tells_of_its_warmup_is_warming(judge: Any) -> None:
    seen = observed(pod("a"), pod("b"))
    told = {"a": Told(State.LOADING), "b": Told(State.WARMING, 2, 5)}
    status, found = judge({"replicas": 2}, seen, told=told)
    assert (reason(status), status.phase) == ("Warming", "Warming")
    assert status.conditions[0].message == "monolithic: 2 of 5 shapes are warm"
    assert (found["Ready"], found["ModelLoaded"], found["WarmedUp"]) == ("False", "True", "False")
    assert (status.warmup.done, status.warmup.of, status.warmup.pods) == (2, 5, 0)
    assert status.warmup.shapes is None


def test_c05_only_pods_that_are_not_ready_tell_what_is_waited_for(judge: Any) -> None:
    seen = observed(pod("a", ready=True), pod("b"))
    status, _ = judge({"replicas": 2}, seen, told={"a": WARM, "b": Told(State.LOADING)})
    assert reason(status) == "Loading"
    done = Told(State.READY, 5, 5)
    status, found = judge({"replicas": 2}, seen, told={"a": WARM, "b": done})
    assert (reason(status), found["Ready"]) == ("Warming", "False")
    assert status.conditions[0].message == "monolithic: 5 of 5 shapes are warm"


def test_c05_a_server_that_loads_has_not_loaded(judge: Any) -> None:
    status, found = judge({}, observed(pod("a")), told={"a": Told(State.LOADING)})
    assert (reason(status), found["ModelLoaded"]) == ("Loading", "False")


def test_c05_a_server_that_cannot_be_asked_is_unknown_and_loading(judge: Any) -> None:
    status, found = judge({}, observed(pod("a")), told={"a": None})
    assert (reason(status), found["ModelLoaded"], found["WarmedUp"]) == (
        "Loading",
        "Unknown",
        "False",
    )
    assert "cannot reach it" in condition(status, "Ready")[2]


def test_c05_a_ready_pod_that_cannot_be_asked_is_ready(judge: Any) -> None:
    seen = observed(pod("a", ready=True))
    status, found = judge({}, seen, told={"a": None})
    assert (reason(status), found["Ready"], found["WarmedUp"]) == ("Ready", "True", "True")
    assert status.warmup == status.warmup.__class__(mode="Server", pods=0)
    # With another answer to a failed warmup, Ready is no proof of it.
    status, found = judge({"warmup": {"onFailure": "Degraded"}}, seen, told={"a": None})
    assert (reason(status), found["Ready"], found["WarmedUp"]) == ("Ready", "True", "Unknown")
    assert condition(status, "WarmedUp")[1] == "NotTold"


def test_c05_what_is_warm_is_warm_in_every_pod_that_told(judge: Any) -> None:
    seen = observed(pod("a", ready=True), pod("b", ready=True), pod("c", ready=True))
    other = Told(State.READY, 2, 2, 15.0, ("b 768x768",))
    status, _ = judge({"replicas": 3}, seen, told={"a": WARM, "b": other, "c": None})
    assert (status.warmup.pods, status.warmup.shapes) == (2, ("b 768x768",))
    assert (status.warmup.seconds, status.warmup.degraded) == (15.0, None)
    assert condition(status, "WarmedUp") == ("True", "Proven", "1 shapes are warm, after 15.0 s")


def test_c05_pods_of_an_earlier_spec_tell_nothing_of_this_one(judge: Any) -> None:
    seen = observed(pod("a", ready=True, spec_hash=OLD))
    status, found = judge({}, seen, told={"a": WARM})
    assert (status.warmup.pods, found["WarmedUp"]) == (0, "False")


def test_c05_what_was_said_before_ready_is_not_what_is_warm(judge: Any) -> None:
    early = Told(State.WARMING, 1, 2, 3.0, ("a 512x512",))
    status, found = judge({}, observed(pod("a", ready=True)), told={"a": early})
    assert (status.warmup.shapes, found["WarmedUp"]) == (None, "True")


def test_c05_less_memory_than_planned_is_ready_and_degraded(judge: Any) -> None:
    words = "no memory for 1 of 2 planned shapes: b 768x768 to b 384x384"
    less = Told(State.READY, 2, 2, 12.3, ("a 512x512",), degraded=words)
    status, found = judge({}, observed(pod("a", ready=True)), told={"a": less})
    assert (reason(status), found["Ready"], found["Reconciling"]) == ("Degraded", "True", "False")
    assert status.phase == "Ready"
    assert words in condition(status, "Ready")[2]
    assert condition(status, "WarmedUp")[:2] == ("True", "Degraded")
    assert status.warmup.degraded == words


def test_c05_a_pod_that_is_ready_with_a_failed_warmup_is_not_warm(judge: Any) -> None:
    words = "warmup of a 512x512 failed: black"
    cold = Told(State.READY, 1, 2, 2.0, (), degraded=words, failure=words)
    spec = {"warmup": {"onFailure": "Degraded"}}
    status, found = judge(spec, observed(pod("a", ready=True)), told={"a": cold})
    assert (reason(status), found["Ready"], found["WarmedUp"]) == ("Degraded", "True", "False")
    assert condition(status, "WarmedUp")[2] == words


def test_c05_a_service_that_cannot_be_planned_keeps_what_was_known(
    plan_of: PlanOf, judge: Any
) -> None:
    before, _ = judge({}, observed(pod("a", ready=True)))
    service = plan_of({}).service
    later = service.__class__("fox", "art", "1", 2, service.spec, before)
    status = failed(later, Finding("InvalidSpec", "spec.x: what"), "2026-02-02T00:00:00Z")
    assert status.observed_generation == 2
    assert status.ready == "1/1"
    found = {each.type: each for each in status.conditions or ()}
    assert str(found["Stalled"].status) == "True"
    assert found["Available"].last_transition_time == NOW
    assert found["Ready"].last_transition_time == "2026-02-02T00:00:00Z"


def test_c05_times_move_only_with_the_condition(plan_of: PlanOf, judge: Any) -> None:
    before, _ = judge({}, observed(pod("a", ready=True)))
    plan = plan_of({})
    service = plan.service.__class__("fox", "art", "1", 2, plan.service.spec, before)
    again = plan.__class__(service, plan.target, plan.defaults, plan.image)
    parts: tuple[PartState, ...] = tuple(
        read_part(again, each, KEY, observed(pod("a", ready=True)), NEW) for each in again.parts
    )
    status = verdict(again, parts, PINNED, None, (), "2026-02-02T00:00:00Z")
    assert {each.last_transition_time for each in status.conditions or ()} == {NOW}
    assert {each.observed_generation for each in status.conditions or ()} == {2}
