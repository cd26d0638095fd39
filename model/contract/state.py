"""The states of a server. Every readiness signal is a reading of the current one."""

from enum import StrEnum


class State(StrEnum):
    STARTING = "starting"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


# Ready goes back to Warming when the weights change (W42), and when a role of a chain has nobody
# left (W44).
# Failed is reachable from anywhere that still runs, and so is Draining: SIGTERM may come any time.
NEXT_STATES: dict[State, frozenset[State]] = {
    State.STARTING: frozenset({State.LOADING, State.DRAINING, State.FAILED}),
    State.LOADING: frozenset({State.WARMING, State.READY, State.DRAINING, State.FAILED}),
    State.WARMING: frozenset({State.READY, State.DRAINING, State.FAILED}),
    State.READY: frozenset({State.WARMING, State.DRAINING, State.FAILED}),
    State.DRAINING: frozenset({State.STOPPED, State.FAILED}),
    State.FAILED: frozenset({State.STOPPED}),
    State.STOPPED: frozenset(),
}
