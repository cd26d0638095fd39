"""The one state machine, and what is read from it in each state."""

import asyncio

import pytest

from model.contract.state import NEXT_STATES, State
from model.errors import EngineDied, EngineStuck
from model.roles.server_state import ServerState

# A way to each state that a server can really go.
WAYS: dict[State, tuple[State, ...]] = {
    State.STARTING: (),
    State.LOADING: (State.LOADING,),
    State.WARMING: (State.LOADING, State.WARMING),
    State.READY: (State.LOADING, State.WARMING, State.READY),
    State.DRAINING: (State.LOADING, State.WARMING, State.READY, State.DRAINING),
    State.STOPPED: (State.LOADING, State.WARMING, State.READY, State.DRAINING, State.STOPPED),
    State.FAILED: (State.LOADING, State.FAILED),
}
PAIRS = [(before, after) for before in State for after in State]


def state_in(state: State) -> ServerState:
    made = ServerState()
    for each in WAYS[state]:
        made.enter(each)
    return made


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=str)
def test_only_legal_ways_are_open(before: State, after: State) -> None:
    state = state_in(before)
    if after in NEXT_STATES[before]:
        state.enter(after)
        assert state.current is after
    else:
        with pytest.raises(ValueError, match=f"no way from {before} to {after}"):
            state.enter(after)
        assert state.current is before


@pytest.mark.parametrize(
    ("current", "ready", "live", "serving"),
    [
        (State.STARTING, False, True, False),
        (State.LOADING, False, True, False),
        (State.WARMING, False, True, False),
        (State.READY, True, True, True),
        (State.DRAINING, False, True, True),
        (State.STOPPED, False, False, False),
        (State.FAILED, False, False, False),
    ],
)
def test_w30_w34_readings(current: State, ready: bool, live: bool, serving: bool) -> None:
    state = state_in(current)
    assert (state.ready, state.live, state.serving) == (ready, live, serving)


@pytest.mark.parametrize("before", [State.STARTING, State.LOADING, State.WARMING])
def test_who_was_never_ready_serves_nobody_while_it_drains(before: State) -> None:
    state = state_in(before)
    state.enter(State.DRAINING)
    assert not state.serving


@pytest.mark.parametrize("before", [each for each in State if State.FAILED in NEXT_STATES[each]])
def test_the_first_failure_stays(before: State) -> None:
    state = state_in(before)
    first = EngineDied("first")
    state.fail(first)
    state.fail(EngineStuck("second"))
    assert state.current is State.FAILED
    assert state.failure is first


def test_what_has_stopped_fails_no_more() -> None:
    state = state_in(State.STOPPED)
    state.fail(EngineDied("late"))
    assert (state.current, state.failure) == (State.STOPPED, None)


def test_listeners_hear_each_change_in_order_and_after_it() -> None:
    state = ServerState()
    heard: list[tuple[str, State, State]] = []
    state.listen(lambda now: heard.append(("first", now, state.current)))
    state.listen(lambda now: heard.append(("second", now, state.current)))
    state.enter(State.LOADING)
    state.fail(EngineDied("gone"))
    assert heard == [
        (name, each, each) for each in (State.LOADING, State.FAILED) for name in ("first", "second")
    ]


def test_milestones_keep_their_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    state = ServerState()
    for age, name in ((1.5, "live"), (2.5, "live"), (3.5, "loaded")):
        monkeypatch.setattr("model.roles.server_state.process_age", lambda now=age: now)
        state.milestone(name)
    assert state.timeline == {"live": 1.5, "loaded": 3.5}


def test_ready_is_a_milestone() -> None:
    assert "ready" in state_in(State.READY).timeline
    assert "ready" not in state_in(State.WARMING).timeline


@pytest.mark.parametrize("end", [State.READY, State.FAILED, State.DRAINING])
async def test_who_waits_for_the_start_is_woken_by_its_end(end: State) -> None:
    state = state_in(State.WARMING)
    waiting = asyncio.create_task(state.wait_settled(60))
    await asyncio.sleep(0)
    assert not waiting.done()
    state.enter(end)
    await asyncio.wait_for(waiting, 5)


async def test_who_waits_for_the_start_waits_no_longer_than_it_says() -> None:
    state = state_in(State.LOADING)
    await asyncio.wait_for(state.wait_settled(0.01), 5)
    assert state.current is State.LOADING


async def test_nobody_waits_for_a_start_that_is_over() -> None:
    await asyncio.wait_for(state_in(State.READY).wait_settled(60), 5)


async def test_w42_a_server_that_warms_up_again_is_as_one_that_never_was_ready() -> None:
    state = state_in(State.READY)
    state.enter(State.WARMING)
    assert (state.ready, state.live, state.serving) == (False, True, False)
    waiting = asyncio.create_task(state.wait_settled(60))
    await asyncio.sleep(0)
    assert not waiting.done(), "the gate holds requests again"
    state.enter(State.DRAINING)
    assert not state.serving, "nobody is served by weights that are half changed"
    await asyncio.wait_for(waiting, 5)
