"""What does the first request after Ready cost, over a steady one, and what is compiled then?

Partners: the same server that warms by the first user's request, and with its warmup switched off,
in the same run and in turns. They show what the warmup buys: there, the first user pays.
Goals: P1, first / steady p50 <= 1.05 for each size that the server declares warm. P2, nothing is
compiled, recompiled or tuned after Ready.

A first request of a size exists once in the life of a server, so each measurement takes a fresh
server. Each life asks for every size once, the undeclared one last, and only then for the steady
ones. The connection is open before: the polling of Ready used it. Compiled code is kept between
the lives of a run, in a folder that is empty at first: P3 measures what the compilation costs.
"""

import statistics
import tempfile
import time
from dataclasses import dataclass
from typing import Any, Final

from ..effort import Effort, Tell
from ..errors import NotMeasurable
from ..report import Findings, Goal, Row
from ..samples import Sample, counts, milliseconds, of_seconds, ratios
from ..server import MODEL, RunningServer, running_server
from ..subject import MODES, Size, Subject

PROVEN: Final = MODES[0]
LIMIT: Final = 1.05
COMPILES: Final = "kiln_compiles_after_ready_total"
PROMPT: Final = "a fox on a yellow background"


@dataclass(frozen=True, slots=True)
class Requests:
    """Seconds of the first request for a size, and of those after it."""

    first: float
    steady: tuple[float, ...]

    @property
    def p50(self) -> float:
        return statistics.median(self.steady)


@dataclass(frozen=True, slots=True)
class Life:
    """One server's: seconds to Ready, requests by size, compilations from Ready to its end."""

    ready: float
    requests: dict[Size, Requests]
    compiles: float


@dataclass(frozen=True, slots=True)
class Way:
    """How a server was started."""

    compile: str
    mode: str

    def __str__(self) -> str:
        return f"compile {self.compile}, warmup {self.mode}"


def measure(effort: Effort, subject: Subject, tell: Tell) -> Findings:
    lives: dict[Way, list[Life]] = {
        Way(compiled, mode): [] for compiled in subject.compile for mode in subject.modes
    }
    with tempfile.TemporaryDirectory(prefix="kiln-benchmark-") as cache:
        for turn in range(effort.starts):
            for way in lives:
                tell(f"P1: start {turn + 1} of {effort.starts}: {way}")
                lives[way].append(_live(way, subject, effort.pictures, cache))
    return Findings(
        rows=tuple(row for way, each in lives.items() for row in _rows(way, each, subject)),
        goals=tuple(goal for way, each in lives.items() for goal in _goals(way, each, subject)),
        repetitions=f"{effort.starts} fresh servers for each way, {effort.pictures} steady "
        "requests for each size; ranges are over the servers",
        notes=(
            f"{subject.model}, {subject.steps} steps, {subject.output_format}; declared warm: "
            f"{subject.declared}; not declared: {subject.undeclared}"
            f"{'; by two devices a picture' if subject.cfg_parallel else ''}",
            "slowest / steady: the slowest of the steady requests, for the noise of this machine",
        ),
    )


def _live(way: Way, subject: Subject, steady: int, cache: str) -> Life:
    flags = ["--model", subject.model, "--warmup-mode", way.mode, "--compile", way.compile]
    flags += ["--cfg-parallel", str(subject.cfg_parallel).lower()]
    if way.mode == PROVEN:
        flags += ["--warmup-resolutions", subject.declared]
    if way.compile != "off":
        flags += ["--cache-dir", cache]
    sizes = (*subject.sizes, subject.undeclared)
    with running_server(*flags) as server:
        firsts = {size: _drawn(server, size, subject, seed=0) for size in sizes}
        requests = {
            size: Requests(
                firsts[size],
                tuple(_drawn(server, size, subject, seed + 1) for seed in range(steady)),
            )
            for size in sizes
        }
        return Life(server.ready_seconds, requests, server.metric(COMPILES))


def _drawn(server: RunningServer, size: Size, subject: Subject, seed: int) -> float:
    # A prompt of its own: what the server keeps of earlier prompts must not help.
    asked: dict[str, Any] = {
        "width": size.width,
        "height": size.height,
        "num_inference_steps": subject.steps,
        "output_format": subject.output_format,
        "seed": seed,
    }
    started = time.perf_counter()
    pictures = server.rest.draw(MODEL, f"{PROMPT}, number {seed}", asked)
    seconds = time.perf_counter() - started
    if len(pictures) != 1:
        raise NotMeasurable(f"{len(pictures)} pictures came back")
    return seconds


def _rows(way: Way, lives: list[Life], subject: Subject) -> list[Row]:
    whole = {
        "start to Ready": of_seconds(life.ready for life in lives),
        "compiles after Ready": counts(life.compiles for life in lives),
    }
    sizes = [
        *((size, "declared") for size in subject.sizes),
        (subject.undeclared, "not declared"),
    ]
    return [
        Row(str(way), whole),
        *(Row(f"  {size}, {kind}", _samples(lives, size)) for size, kind in sizes),
    ]


def _samples(lives: list[Life], size: Size) -> dict[str, Sample]:
    found = [life.requests[size] for life in lives]
    p50s = [each.p50 for each in found]
    return {
        "first": milliseconds(each.first for each in found),
        "steady p50": milliseconds(p50s),
        "first / steady": ratios((each.first for each in found), p50s),
        "slowest / steady": ratios((max(each.steady) for each in found), p50s),
    }


def _goals(way: Way, lives: list[Life], subject: Subject) -> list[Goal]:
    if way.mode != PROVEN:
        return []
    return [
        *(
            Goal(
                f"P1 {way}, {size}: first / steady",
                _samples(lives, size)["first / steady"].median,
                LIMIT,
                "ratio",
            )
            for size in subject.sizes
        ),
        Goal(f"P2 {way}: compiles after Ready", max(each.compiles for each in lives), 0, "count"),
    ]
