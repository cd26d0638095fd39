"""The gate (W30, W32): what runs before Ready, and what everything else is told."""

import math
from typing import Any

from ..contract.state import State
from ..errors import NotReady
from .context import Serving

# Before the first pass nothing is known of how long loading takes.
UNKNOWN_WAIT = 5.0


async def admit(serving: Serving) -> None:
    """Return when requests are served; hold them up to ``--gate-hold`` seconds before refusing.

    Raises:
        NotReady: with the state, the progress and the seconds after which to try again.
    """
    state, hold = serving.state, serving.settings.gate_hold
    if not state.serving and hold and state.live:
        await state.wait_settled(hold)
    if not state.serving:
        raise refusal(serving)


def refusal(serving: Serving) -> NotReady:
    """The 503 of this moment."""
    facts = progress(serving)
    state = serving.state
    if state.failure is not None:
        message = f"the server failed and is ending: {state.failure}"
    else:
        done = f", {facts['done']} of {facts['of']} shapes are warm" if facts["of"] else ""
        lacking = f": {state.lacking}" if state.lacking else ""
        message = f"the server is {state.current}{done}{lacking}"
    return NotReady(message, retry_after(serving), facts)


def progress(serving: Serving) -> dict[str, Any]:
    """State and warmup progress, as the 503 body and the metadata have them (W26)."""
    report = serving.role.report
    return {
        "state": str(serving.state.current),
        "done": report.done,
        "of": report.of,
        "eta_s": report.eta_s,
    }


def retry_after(serving: Serving) -> float:
    """Whole seconds after which a client should try again."""
    eta = serving.role.report.eta_s
    if serving.state.current is State.WARMING and eta:
        return math.ceil(eta)
    return UNKNOWN_WAIT if serving.state.current is not State.WARMING else 1.0
