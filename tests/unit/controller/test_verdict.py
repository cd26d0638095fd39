"""From pods to conditions (C05). What real pods make of it is in tests/cluster."""

from typing import Any

import pytest

from controller.api.kinds import DEPLOYMENT, INFERENCE_SERVICE, POD
from controller.api.names import SPEC_HASH_ANNOTATION
from controller.api.status import Pinned, Status
from controller.desired.plan import Target
from controller.observed import Observed, ServiceKey
from controller.parts import PartState, read_part, with_progress
from controller.progress import Progress
from controller.reasons import Finding
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
    ) -> tuple[Status, dict[str, str]]:
        plan = plan_of(spec, target)
        parts = tuple(read_part(plan, each, KEY, seen, NEW) for each in plan.parts)
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


def test_c05_a_server_that_tells_of_its_warmup_is_warming(plan_of: PlanOf) -> None:
    plan = plan_of({})
    seen = observed(pod("a", address="10.0.0.1"))
    state = read_part(plan, plan.front, KEY, seen, NEW)
    assert state.addresses == ("10.0.0.1",)
    told = with_progress(state, {"10.0.0.1": Progress(State.WARMING, 2, 5)})
    assert told.finding == Finding("Warming", "monolithic: 2 of 5 shapes are warm")
    assert with_progress(state, {}).finding == state.finding
    loading = with_progress(state, {"10.0.0.1": Progress(State.LOADING)})
    assert loading.finding == state.finding


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
