"""What does a second start save, when the compiled code of the first is kept?

Partner: the first start, with an empty cache folder, in the same run.
Goals: the second start takes at most a third of the first, and its warmup at most 5 s longer than
that of a server that compiles nothing.

A compilation costs from seconds to minutes; a pod that finds the folder of an earlier one need not
pay it again. The same folder serves both starts, and nothing else does.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..effort import Effort, Tell
from ..errors import NotMeasurable
from ..report import Findings, Goal, Row
from ..samples import Sample, mebibytes, of_seconds, ratios
from ..server import running_server
from ..subject import Subject

NOTHING: Final = "off"
SHARE: Final = 1 / 3
COMPILE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds to Ready, of which its warmup took ``warmup``; bytes in the cache folder after it."""

    ready: float
    warmup: float
    cached: int


def measure(effort: Effort, subject: Subject, tell: Tell) -> Findings:
    modes = [each for each in subject.compile if each != NOTHING]
    if not modes:
        raise NotMeasurable("nothing is compiled: give --compile regional, full, or both")
    plain: list[Start] = []
    pairs: dict[str, list[tuple[Start, Start]]] = {mode: [] for mode in modes}
    for turn in range(effort.starts):
        tell(f"P3: turn {turn + 1} of {effort.starts}: compile {NOTHING}")
        plain.append(_start(subject, NOTHING, None))
        for mode in modes:
            tell(f"P3: turn {turn + 1} of {effort.starts}: compile {mode}, cold and again")
            with tempfile.TemporaryDirectory(prefix="kiln-benchmark-") as cache:
                pairs[mode].append(
                    (_start(subject, mode, Path(cache)), _start(subject, mode, Path(cache)))
                )
    rows = [Row(f"compile {NOTHING}", _samples(plain))]
    goals = []
    for mode, each in pairs.items():
        cold, again = [pair[0] for pair in each], [pair[1] for pair in each]
        shares = ratios((start.ready for start in again), (start.ready for start in cold))
        rows.append(Row(f"compile {mode}, empty folder", _samples(cold)))
        rows.append(Row(f"compile {mode}, again", {**_samples(again), "over the first": shares}))
        extra = _samples(again)["warmup"].median - _samples(plain)["warmup"].median
        goals.append(Goal(f"compile {mode}, second start / first", shares.median, SHARE, "ratio"))
        goals.append(
            Goal(f"compile {mode}, warmup beyond that without", extra, COMPILE_SECONDS, "s")
        )
    return Findings(
        rows=tuple(rows),
        goals=tuple(goals),
        repetitions=f"{effort.starts} pairs of starts",
        notes=(f"{subject.model}; warm sizes: {subject.declared}",),
    )


def _start(subject: Subject, mode: str, cache: Path | None) -> Start:
    flags = ["--model", subject.model, "--warmup-resolutions", subject.declared]
    flags += ["--compile", mode, *(["--cache-dir", str(cache)] if cache else [])]
    with running_server(*flags) as server:
        warmup = float(server.metadata()["warmup"]["seconds"])
        ready = server.ready_seconds
    files = cache.rglob("*") if cache else ()
    return Start(ready, warmup, sum(each.stat().st_size for each in files if each.is_file()))


def _samples(starts: list[Start]) -> dict[str, Sample]:
    return {
        "start to Ready": of_seconds(each.ready for each in starts),
        "warmup": of_seconds(each.warmup for each in starts),
        "in the folder": mebibytes(each.cached for each in starts),
    }
