"""Watch a server from outside while it starts, and prove that Ready came after warm."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .client import Answer, call, infer

START_SECONDS = 300.0
POLL_SECONDS = 0.05
OK = 200


class NeverReady(Exception):
    """The server still ran, but did not become Ready in time."""


class BrokenPromise(Exception):
    """The server said Ready before it was warm."""


@dataclass(frozen=True, slots=True)
class Change:
    """From ``seconds`` after the start on, the two endpoints answered this. 0: nobody listens."""

    seconds: float
    live: int
    ready: int
    state: str


@dataclass(frozen=True, slots=True)
class Observation:
    """``asked`` counts the readiness answers before the first 200; ``ready`` is when that came, in
    seconds since the start. ``refused`` is the answer to a request that came too early.
    """

    changes: tuple[Change, ...]
    asked: int
    ready: float
    refused: Answer | None


def watch(port: int, started: float, check_alive: Callable[[], None]) -> Observation:
    """Ask both health endpoints until the server is Ready.

    Raises:
        NeverReady: it took longer than ``START_SECONDS``.
    """
    changes: list[Change] = []
    refused: Answer | None = None
    asked = 0
    while time.monotonic() - started < START_SECONDS:
        check_alive()
        live, ready = _ask(port, "live"), _ask(port, "ready")
        now = time.monotonic() - started
        seen = Change(
            now,
            live.status if live else 0,
            ready.status if ready else 0,
            str(ready.body.get("state", "ready" if ready.status == OK else "")) if ready else "",
        )
        if not changes or _differs(changes[-1], seen):
            changes.append(seen)
        if seen.ready == OK:
            return Observation(tuple(changes), asked, now, refused)
        asked += seen.ready != 0
        if refused is None and seen.state == "warming":
            early = infer(port, "too early", seed=0)
            refused = early if early.status != OK else None
        time.sleep(POLL_SECONDS)
    raise NeverReady(f"not Ready after {START_SECONDS:.0f} s; last answers: {changes[-1]}")


def check_promise(metadata: dict[str, Any]) -> None:
    """Check the proofs. ``metadata`` was asked for right after the first 200, so a proof that it
    does not hold came too late.

    Raises:
        BrokenPromise: Ready came before warm.
    """
    timeline, shapes = metadata["timeline"], metadata["warmup"]["shapes"]
    reached = [timeline.get(each, math.inf) for each in ("live", "loaded", "warm", "ready")]
    if reached != sorted(reached) or math.inf in reached:
        raise BrokenPromise(f"the server's own timeline is out of order: {timeline}")
    unproven = [each["shape"] for each in shapes if not each["proven"]]
    if unproven or not shapes:
        raise BrokenPromise(f"Ready without a proof for {', '.join(unproven) or 'any shape'}")


def _differs(one: Change, other: Change) -> bool:
    return (one.live, one.ready, one.state) != (other.live, other.ready, other.state)


def _ask(port: int, what: str) -> Answer | None:
    try:
        return call(port, f"/v2/health/{what}", seconds=5.0)
    except OSError:
        return None
