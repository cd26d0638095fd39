"""The gate by itself: who passes, who waits, and what the others are told."""

import asyncio
from dataclasses import replace

import pytest

from model.contract.state import State
from model.errors import ModelNotLoadable, NotReady
from model.serving import gate
from model.serving.context import Serving

WAY = {
    State.STARTING: (),
    State.LOADING: (State.LOADING,),
    State.WARMING: (State.LOADING, State.WARMING),
    State.READY: (State.LOADING, State.WARMING, State.READY),
    State.DRAINING: (State.DRAINING,),
}


def in_state(serving: Serving, state: State) -> Serving:
    for each in WAY[state]:
        serving.state.enter(each)
    return serving


def holding(serving: Serving, seconds: float) -> Serving:
    return replace(serving, settings=serving.settings.model_copy(update={"gate_hold": seconds}))


@pytest.mark.parametrize("state", [each for each in WAY if each is not State.READY])
async def test_W32_nobody_passes_before_ready(serving: Serving, state: State) -> None:
    with pytest.raises(NotReady) as caught:
        await gate.admit(in_state(serving, state))
    error = caught.value
    assert error.details == {"state": str(state), "done": 0, "of": 0, "eta_s": None}
    assert str(state) in str(error)
    assert error.retry_after is not None
    assert error.retry_after >= 1


async def test_requests_pass_when_ready_and_while_a_ready_server_drains(serving: Serving) -> None:
    await gate.admit(in_state(serving, State.READY))
    serving.state.enter(State.DRAINING)
    await gate.admit(serving)
    serving.state.enter(State.STOPPED)
    with pytest.raises(NotReady):
        await gate.admit(serving)


async def test_W32_a_held_request_passes_once_ready(serving: Serving) -> None:
    held = asyncio.create_task(gate.admit(in_state(holding(serving, 60), State.WARMING)))
    await asyncio.sleep(0)
    assert not held.done()
    serving.state.enter(State.READY)
    await held


async def test_W32_a_held_request_is_refused_after_the_hold(serving: Serving) -> None:
    with pytest.raises(NotReady):
        await gate.admit(in_state(holding(serving, 0.01), State.WARMING))


async def test_W33_a_held_request_hears_of_the_failure_at_once(serving: Serving) -> None:
    held = asyncio.create_task(gate.admit(in_state(holding(serving, 60), State.LOADING)))
    await asyncio.sleep(0)
    serving.state.fail(ModelNotLoadable("no such folder"))
    with pytest.raises(NotReady, match="no such folder"):
        await held
    with pytest.raises(NotReady):
        await gate.admit(serving)


async def test_W32_progress_is_told(serving: Serving) -> None:
    in_state(serving, State.WARMING)
    serving.role.report = replace(serving.role.report, of=3, eta_s=12.3)
    refusal = gate.refusal(serving)
    assert str(refusal) == "the server is warming, 0 of 3 shapes are warm"
    assert refusal.details == {"state": "warming", "done": 0, "of": 3, "eta_s": 12.3}
    assert refusal.retry_after == 13
