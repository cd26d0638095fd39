"""The table of states: what may follow what."""

import pytest

from model.contract.state import NEXT_STATES, State

RUNNING = [state for state in State if state not in (State.STOPPED, State.FAILED)]


def reachable(start: State) -> set[State]:
    found: set[State] = set()
    ahead = {start}
    while ahead:
        found |= ahead
        ahead = {after for each in ahead for after in NEXT_STATES[each]} - found
    return found


def test_every_state_has_a_row() -> None:
    assert set(NEXT_STATES) == set(State)


def test_every_state_is_reached_from_the_start() -> None:
    assert reachable(State.STARTING) == set(State)


def test_there_is_no_way_out_of_stopped() -> None:
    assert NEXT_STATES[State.STOPPED] == frozenset()


@pytest.mark.parametrize("state", State)
def test_every_state_can_come_to_an_end(state: State) -> None:
    assert State.STOPPED in reachable(state)


@pytest.mark.parametrize("state", RUNNING)
def test_failure_is_possible_from_wherever_it_runs(state: State) -> None:
    assert State.FAILED in NEXT_STATES[state]


@pytest.mark.parametrize("state", [s for s in RUNNING if s is not State.DRAINING])
def test_a_signal_may_drain_from_wherever_it_serves(state: State) -> None:
    assert State.DRAINING in NEXT_STATES[state]


@pytest.mark.parametrize("state", State)
def test_no_state_follows_itself(state: State) -> None:
    assert state not in NEXT_STATES[state]


def test_ready_is_never_regained_by_a_server_that_gave_it_up() -> None:
    for state in (State.DRAINING, State.FAILED, State.STOPPED):
        assert State.READY not in reachable(state)


def test_w33_ready_follows_only_on_loading_or_warming() -> None:
    before = {state for state, after in NEXT_STATES.items() if State.READY in after}
    assert before == {State.LOADING, State.WARMING}


def test_w42_ready_goes_back_to_warming_and_to_nothing_else_that_starts() -> None:
    starting = {State.STARTING, State.LOADING, State.WARMING}
    assert NEXT_STATES[State.READY] & starting == {State.WARMING}
