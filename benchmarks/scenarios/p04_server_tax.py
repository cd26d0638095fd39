"""What does the server add to the raw pipeline call?

Partner: the embedded pipeline called as diffusers' documentation does, in a process of its own that
stays loaded: the same threads, type, steps, size, guidance and seeds, and a PNG at the end. Client,
server and partner share one machine, and only one of them works at a time, in turns.
Goal: the server adds at most 8 ms to a picture of the embedded model, at concurrency 1.

OpenMP's spinning is a process setting too: the engine shortens it, which costs a little on idle
cores and saves a lot on busy ones. A second partner keeps the default, so that the cost shows.

The pixels of each answer are compared with the partner's: it was the same work.
"""

import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from model.embedded import GENERATION_DEFAULTS_FILE, PIPELINE_FOLDER

from ..effort import Effort, Tell
from ..errors import NotMeasurable
from ..grpc_client import grpc_client
from ..hardware import this_machine
from ..raw_pipeline import SPINNING_OF_THE_ENGINE, RawPipeline, raw_pipeline
from ..report import Findings, Goal, Row
from ..rest import Parameters
from ..samples import differences, milliseconds, ratios
from ..server import MODEL, RunningServer, running_server

LIMIT_MS: Final = 8.0
PROMPT: Final = "a fox on a yellow background"
DTYPE: Final = "float32"
RAW: Final = "raw pipeline"
RAW_AS_IT_COMES: Final = "raw pipeline, OpenMP's defaults"
UNMEASURED_ROUNDS: Final = 2
# The threads of the process that worked last spin for a moment before they sleep.
SETTLE_SECONDS: Final = 0.05

# Draws with a seed; gives its seconds and the PNG.
Draw = Callable[[int], tuple[float, bytes]]


def measure(effort: Effort, tell: Tell) -> Findings:
    threads = this_machine().cores
    sampling: dict[str, Any] = json.loads(GENERATION_DEFAULTS_FILE.read_text())
    tell(f"P4: starting a server and a raw pipeline, {threads} threads each")
    flags = ("--torch-threads", str(threads), "--dtype", DTYPE, "--device", "cpu")
    with running_server(*flags) as server, _ways(server, sampling, threads) as ways:
        seconds, difference = _in_turns(ways, effort.rounds, tell)
    return Findings(
        rows=tuple(_row(way, each, seconds[RAW]) for way, each in seconds.items()),
        goals=tuple(
            Goal(f"added by {way}", differences(each, seconds[RAW]).median, LIMIT_MS, "ms")
            for way, each in seconds.items()
            if way not in (RAW, RAW_AS_IT_COMES)
        ),
        repetitions=f"{effort.rounds} rounds in turns, after {UNMEASURED_ROUNDS} unmeasured; "
        "'added' and 'over raw' compare within a round",
        notes=(
            f"{sampling['num_inference_steps']} steps, guidance {sampling['guidance_scale']}, "
            f"{sampling['width']}x{sampling['height']}, {DTYPE}, {threads} threads, PNG",
            f"largest difference between an answer's pixel and the raw call's: {difference} of 255",
        ),
    )


@contextlib.contextmanager
def _ways(
    server: RunningServer, sampling: Mapping[str, Any], threads: int
) -> Iterator[dict[str, Draw]]:
    """Every way to the same picture, by its name."""
    asked: Parameters = {k: v for k, v in sampling.items() if k != "negative_prompt"}

    def over(draw: Callable[[Parameters], list[bytes]]) -> Draw:
        return lambda seed: _timed(lambda: draw({**asked, "seed": seed})[0])

    with (
        tempfile.TemporaryDirectory() as folder,
        raw_pipeline(PIPELINE_FOLDER, threads, DTYPE, SPINNING_OF_THE_ENGINE) as raw,
        raw_pipeline(PIPELINE_FOLDER, threads, DTYPE, {}) as raw_as_it_comes,
        grpc_client(server.grpc_address) as grpc,
    ):

        def by_hand(pipeline: RawPipeline) -> Draw:
            def draw(seed: int) -> tuple[float, bytes]:
                picture = Path(folder) / "raw.png"
                seconds = pipeline.draw(PROMPT, {**sampling, "seed": seed}, picture)
                return seconds, picture.read_bytes()

            return draw

        rest = server.rest
        yield {
            RAW: by_hand(raw),
            RAW_AS_IT_COMES: by_hand(raw_as_it_comes),
            "v2 REST, JSON": over(lambda asked: rest.draw(MODEL, PROMPT, asked)),
            "v2 REST, binary": over(lambda asked: rest.draw(MODEL, PROMPT, asked, binary=True)),
            "v2 gRPC (tritonclient)": over(lambda asked: grpc.draw(MODEL, PROMPT, asked)),
        }


def _timed(draw: Callable[[], bytes]) -> tuple[float, bytes]:
    started = time.perf_counter()
    picture = draw()
    return time.perf_counter() - started, picture


def _in_turns(
    ways: Mapping[str, Draw], rounds: int, tell: Tell
) -> tuple[dict[str, list[float]], int]:
    """Seconds of each way in each measured round, and the largest difference of a pixel."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    difference = 0
    for number in range(UNMEASURED_ROUNDS + rounds):
        tell(f"P4: round {number + 1} of {UNMEASURED_ROUNDS + rounds}")
        pictures = {}
        for way in rotated(list(ways), number):
            time.sleep(SETTLE_SECONDS)
            taken, pictures[way] = ways[way](number)
            if number >= UNMEASURED_ROUNDS:
                seconds[way].append(taken)
        difference = max(
            difference, *(_distance(pictures[RAW], each) for each in pictures.values())
        )
    return seconds, difference


def rotated(names: list[str], turn: int) -> list[str]:
    """Each round starts with another one, so that none always follows the same."""
    start = turn % len(names)
    return names[start:] + names[:start]


def _distance(left: bytes, right: bytes) -> int:
    """The largest difference between two pictures, in values of a channel."""
    first, second = (
        np.asarray(Image.open(io.BytesIO(each)).convert("RGB"), dtype=np.int16)
        for each in (left, right)
    )
    if first.shape != second.shape:
        raise NotMeasurable(f"pictures of {first.shape} and {second.shape} are not the same work")
    return int(np.abs(first - second).max())


def _row(way: str, seconds: list[float], raw: list[float]) -> Row:
    samples = {"a picture": milliseconds(seconds)}
    if way != RAW:
        samples |= {"added": differences(seconds, raw), "over raw": ratios(seconds, raw)}
    return Row(way, samples)
