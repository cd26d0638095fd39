"""What does the first request after Ready cost, over a steady one?

Partner: the same server with its warmup switched off, in the same run and in turns. It shows what
the warmup buys: there, the first user pays.
Goal: first / steady p50 <= 1.05 for each shape that the server declares warm.

A first request exists once in the life of a server, so each measurement takes a fresh one. The
shapes are those of the warmup report. The connection is open before: the polling of Ready used it.
"""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..effort import Effort, Tell
from ..errors import NotMeasurable
from ..report import Findings, Goal, Row
from ..rest import Parameters
from ..samples import Sample, milliseconds, of_seconds, ratios
from ..server import MODEL, RunningServer, running_server

MODES: Final = ("server", "off")
LIMIT: Final = 1.05
PROMPT: Final = "a fox on a yellow background"
DRAWN_TASK: Final = "text-to-image"
WITHOUT_GUIDANCE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Life:
    """One server's: seconds to Ready, of its first request, and of those after it."""

    ready: float
    first: float
    steady: tuple[float, ...]

    @property
    def p50(self) -> float:
        return statistics.median(self.steady)


def measure(effort: Effort, tell: Tell) -> Findings:
    tell("P1: asking a server for its warm shapes")
    declared, skipped = _declared_shapes()
    lives: dict[tuple[str, str], list[Life]] = {
        (shape, mode): [] for shape in declared for mode in MODES
    }
    for turn in range(effort.starts):
        for shape, mode in lives:
            tell(f"P1: start {turn + 1} of {effort.starts}: {shape}, warmup {mode}")
            lives[shape, mode].append(_live(mode, declared[shape], effort.pictures))
    return Findings(
        rows=tuple(_row(f"{shape}, warmup {mode}", each) for (shape, mode), each in lives.items()),
        goals=tuple(
            Goal(
                f"first / steady, {shape}",
                _first_over_steady(lives[shape, "server"]).median,
                LIMIT,
                "ratio",
            )
            for shape in declared
        ),
        repetitions=f"{effort.starts} fresh servers for each row, {effort.pictures} steady "
        "requests in each; ranges are over the servers",
        notes=(
            "slowest / steady: the slowest of the steady requests, for the noise of this machine",
            *skipped,
        ),
    )


def _declared_shapes() -> tuple[dict[str, Parameters], tuple[str, ...]]:
    """The parameters that ask for each shape, by its name; and what cannot be asked for yet."""
    with running_server("--warmup-mode", "server") as server:
        metadata = server.metadata()
    shapes = metadata["warmup"]["shapes"]
    if not shapes:
        raise NotMeasurable("the server is Ready and declares no warm shape")
    asked = {
        each["shape"]: parameters_for(each, metadata["defaults"])
        for each in shapes
        if each["task"] == DRAWN_TASK
    }
    left = [each["shape"] for each in shapes if each["shape"] not in asked]
    return asked, tuple(f"not measured, since it needs an input picture: {each}" for each in left)


def parameters_for(shape: Mapping[str, Any], defaults: Mapping[str, Any]) -> Parameters:
    """Request parameters of a shape in the warmup report. Guidance at 1 is no guidance."""
    parameters: dict[str, str | int | float | bool] = {
        "width": shape["width"],
        "height": shape["height"],
        "num_images_per_prompt": shape["batch"],
    }
    if not shape["cfg"]:
        parameters["guidance_scale"] = WITHOUT_GUIDANCE
    elif defaults.get("guidance_scale") is not None:
        parameters["guidance_scale"] = defaults["guidance_scale"]
    return parameters


def _live(mode: str, parameters: Parameters, steady: int) -> Life:
    with running_server("--warmup-mode", mode) as server:
        first, *later = (_drawn(server, parameters, seed) for seed in range(steady + 1))
        return Life(server.ready_seconds, first, tuple(later))


def _drawn(server: RunningServer, parameters: Parameters, seed: int) -> float:
    started = time.perf_counter()
    pictures = server.rest.draw(MODEL, PROMPT, {**parameters, "seed": seed})
    seconds = time.perf_counter() - started
    if len(pictures) != parameters["num_images_per_prompt"]:
        raise NotMeasurable(f"{len(pictures)} pictures came back")
    return seconds


def _row(subject: str, lives: list[Life]) -> Row:
    p50s = [life.p50 for life in lives]
    return Row(
        subject,
        {
            "start to Ready": of_seconds(life.ready for life in lives),
            "first": milliseconds(life.first for life in lives),
            "steady p50": milliseconds(p50s),
            "first / steady": _first_over_steady(lives),
            "slowest / steady": ratios((max(life.steady) for life in lives), p50s),
        },
    )


def _first_over_steady(lives: list[Life]) -> Sample:
    return ratios((life.first for life in lives), (life.p50 for life in lives))
