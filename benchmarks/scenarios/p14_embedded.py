"""How long from nothing to a picture, with the model that ships with Kiln?

Partner: none. The goals are absolute, and stated for two CPU cores.
Goal: live in less than 2 s, Ready within 15 s, a picture (8 steps with guidance) within 0.5 s.

Seen from outside: seconds from the start of the process to the first 200. The server's own timeline
stands beside it. The model's files lie in the page cache after the first start.
"""

import json
import time
from dataclasses import dataclass
from typing import Any, Final

from model.embedded import GENERATION_DEFAULTS_FILE

from ..effort import Effort, Tell
from ..hardware import this_machine
from ..report import Findings, Goal, Row
from ..samples import Sample, of_seconds
from ..server import MODEL, RunningServer, running_server
from ..subject import Subject

LIVE_SECONDS: Final = 2.0
READY_SECONDS: Final = 15.0
PICTURE_SECONDS: Final = 0.5
STEPS: Final = 8
CORES: Final = 2
PROMPT: Final = "a fox on a yellow background"


@dataclass(frozen=True, slots=True)
class Life:
    """``timeline``: the server's own account, in seconds by phase."""

    live: float
    ready: float
    timeline: dict[str, float]
    pictures: tuple[float, ...]


def measure(effort: Effort, subject: Subject, tell: Tell) -> Findings:
    guidance = float(json.loads(GENERATION_DEFAULTS_FILE.read_text())["guidance_scale"])
    lives = []
    for start in range(effort.starts):
        tell(f"P14: start {start + 1} of {effort.starts}")
        lives.append(_live(effort.pictures, guidance))
    live = of_seconds(each.live for each in lives)
    ready = of_seconds(each.ready for each in lives)
    picture = of_seconds(seconds for each in lives for seconds in each.pictures)
    return Findings(
        rows=(
            Row("start to live", {"seconds": live, "the server's own": _own(lives, "live")}),
            Row("start to loaded", {"the server's own": _own(lives, "loaded")}),
            Row("start to warm", {"the server's own": _own(lives, "warm")}),
            Row("start to Ready", {"seconds": ready, "the server's own": _own(lives, "ready")}),
            Row(f"a picture, {STEPS} steps, guidance {guidance:g}", {"seconds": picture}),
        ),
        goals=(
            Goal("start to live", live.median, LIVE_SECONDS, "s"),
            Goal("start to Ready", ready.median, READY_SECONDS, "s"),
            Goal(f"a picture at {STEPS} steps", picture.median, PICTURE_SECONDS, "s"),
        ),
        repetitions=f"{effort.starts} starts, {effort.pictures} pictures after each, over v2 REST",
        notes=_about_cores(this_machine().cores),
    )


def _live(pictures: int, guidance: float) -> Life:
    with running_server() as server:
        return Life(
            live=server.live_seconds,
            ready=server.ready_seconds,
            timeline=server.metadata()["timeline"],
            pictures=tuple(_drawn(server, seed, guidance) for seed in range(pictures)),
        )


def _drawn(server: RunningServer, seed: int, guidance: float) -> float:
    asked: dict[str, Any] = {
        "num_inference_steps": STEPS,
        "guidance_scale": guidance,
        "seed": seed,
    }
    started = time.perf_counter()
    server.rest.draw(MODEL, PROMPT, asked)
    return time.perf_counter() - started


def _own(lives: list[Life], phase: str) -> Sample:
    return of_seconds(each.timeline[phase] for each in lives)


def _about_cores(cores: int) -> tuple[str, ...]:
    if cores == CORES:
        return ()
    return (f"the goals are stated for {CORES} CPU cores; this machine has {cores}",)
