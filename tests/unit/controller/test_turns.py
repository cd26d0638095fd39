"""Who rolls first (C16): workers, then the router. The rest is in tests/cluster/operator."""

from typing import Any

import pytest

from controller.desired.plan import Part
from controller.parts import PartState
from controller.pods import PodState
from controller.turns import router_waits, spared, spec_hash, waiting

from .conftest import PlanOf

ROLES: dict[str, Any] = {"encoder": {}, "denoiser": {}, "decoder": {}}


def state(part: Part, *current: bool, ready: bool = True) -> PartState:
    """With pods of this spec, or of an earlier one."""
    pods = tuple(
        PodState(f"{part.name}-{number}", each, ready, None, "", None)
        for number, each in enumerate(current)
    )
    return PartState(part, 1, pods, None)


@pytest.fixture
def parts(plan_of: PlanOf) -> tuple[PartState, ...]:
    """All of the newest spec, and Ready."""
    return tuple(state(each, True) for each in plan_of({"roles": ROLES}).parts)


def test_c16_a_router_waits_until_all_workers_are_of_this_spec(
    parts: tuple[PartState, ...],
) -> None:
    front, encoder, denoiser, decoder = parts
    assert not router_waits(parts, "old", "new")
    for late in (
        state(denoiser.part, True, ready=False),
        state(denoiser.part, False),
        state(denoiser.part, True, False),
        state(denoiser.part),
    ):
        several = (front, encoder, late, decoder)
        assert router_waits(several, "old", "new")
        told = waiting(front, several).finding
        assert told is not None
        assert told.reason == "WaitingForWorkers"
        assert told.message.endswith("until these are of this spec: denoiser")
        assert not router_waits(several, "new", "new"), "its own pods are as they should be"
        assert not router_waits(several, None, "new"), "there is none of before"


def test_c16_workers_stay_while_their_router_has_not_been_replaced(plan_of: PlanOf) -> None:
    (alone,) = plan_of({}).parts
    several = tuple(state(each, False) for each in plan_of({"roles": ROLES}).parts)
    assert spared((state(alone, False),)) == {"encoder", "denoiser", "decoder"}
    assert spared((state(alone, True, False),))
    assert not spared((state(alone, True),))
    assert not spared((state(alone),))
    assert not spared(several), "none of them is in nobody's spec"


def test_c16_the_hash_is_found_in_both_backends() -> None:
    annotations = {"annotations": {"hash": "a"}}
    assert spec_hash({"spec": {"template": {"metadata": annotations}}}, "hash") == "a"
    assert spec_hash({"spec": {"predictor": annotations}}, "hash") == "a"
    assert spec_hash({"spec": {"clusterIP": "None"}}, "hash") is None
    assert spec_hash(None, "hash") is None
