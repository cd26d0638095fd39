"""What does the server add to the raw pipeline call?

Partner: the embedded pipeline in processes of their own that stay loaded, called twice over. "As
the engine calls it" has all that the engine sets (threads, OpenMP's spinning, inference mode), so
that only serving differs. "As documented" is diffusers' own call in a process that sets nothing but
the number of threads: what a user would have without Kiln. The goal stands against each.
Goal: the server adds at most 8 ms to a picture of the embedded model, at concurrency 1.

Threads, type, steps, size, guidance and seeds are the same everywhere, and the pixels of each
answer are compared; the partners write their PNG by Pillow, at its fastest. One way works at a
time; the order is shuffled in each round, and each measured call follows an unmeasured one of its
own, since whoever was called last has warm caches.
"raw, again" is the first partner against itself: a difference of that size is noise.
"""

import contextlib
import io
import json
import random
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
from ..raw_pipeline import Call, RawPipeline, raw_pipeline
from ..report import Findings, Goal, Row
from ..rest import Parameters
from ..samples import differences, milliseconds, ratios
from ..server import MODEL, RunningServer, running_server
from ..subject import Subject

LIMIT_MS: Final = 8.0
PROMPT: Final = "a fox on a yellow background"
DTYPE: Final = "float32"
RAW: Final = "raw, as the engine calls it"
CONTROL: Final = "raw, again"
DOCUMENTED: Final = "raw, as documented"
PARTNERS: Final = {"the engine's own call": RAW, "the documented call": DOCUMENTED}
ORDER_SEED: Final = 0
UNMEASURED_ROUNDS: Final = 2
# The threads of the process that worked last spin for a moment before they sleep.
SETTLE_SECONDS: Final = 0.05

# Draws with a seed; gives its seconds and the PNG.
Draw = Callable[[int], tuple[float, bytes]]


def measure(effort: Effort, subject: Subject, tell: Tell) -> Findings:
    threads = this_machine().cores
    sampling: dict[str, Any] = json.loads(GENERATION_DEFAULTS_FILE.read_text())
    tell(f"P4: starting a server and a raw pipeline, {threads} threads each")
    flags = ("--torch-threads", str(threads), "--dtype", DTYPE, "--device", "cpu")
    with running_server(*flags) as server, _ways(server, sampling, threads) as ways:
        seconds, difference = _in_turns(ways, effort.rounds, tell)
    return Findings(
        rows=tuple(_row(way, seconds) for way in seconds),
        goals=tuple(
            Goal(f"{way} over {name}", differences(each, seconds[partner]).median, LIMIT_MS, "ms")
            for name, partner in PARTNERS.items()
            for way, each in seconds.items()
            if way not in (RAW, CONTROL, DOCUMENTED)
        ),
        repetitions=f"{effort.rounds} rounds in shuffled order, after {UNMEASURED_ROUNDS} "
        "unmeasured; differences are within a round",
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
        raw_pipeline(PIPELINE_FOLDER, threads, DTYPE, Call.AS_THE_ENGINE) as raw,
        raw_pipeline(PIPELINE_FOLDER, threads, DTYPE, Call.AS_DOCUMENTED) as documented,
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
            CONTROL: by_hand(raw),
            DOCUMENTED: by_hand(documented),
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
    shuffled = random.Random(ORDER_SEED)  # noqa: S311 - an order, no secret
    for number in range(UNMEASURED_ROUNDS + rounds):
        tell(f"P4: round {number + 1} of {UNMEASURED_ROUNDS + rounds}")
        pictures = {}
        for way in shuffled.sample(list(ways), len(ways)):
            ways[way](number)
            time.sleep(SETTLE_SECONDS)
            taken, pictures[way] = ways[way](number)
            time.sleep(SETTLE_SECONDS)
            if number >= UNMEASURED_ROUNDS:
                seconds[way].append(taken)
        difference = max(
            difference, *(_distance(pictures[RAW], each) for each in pictures.values())
        )
    return seconds, difference


def _distance(left: bytes, right: bytes) -> int:
    """The largest difference between two pictures, in values of a channel."""
    first, second = (
        np.asarray(Image.open(io.BytesIO(each)).convert("RGB"), dtype=np.int16)
        for each in (left, right)
    )
    if first.shape != second.shape:
        raise NotMeasurable(f"pictures of {first.shape} and {second.shape} are not the same work")
    return int(np.abs(first - second).max())


def _row(way: str, seconds: Mapping[str, list[float]]) -> Row:
    samples = {"a picture": milliseconds(seconds[way])}
    for name, partner in PARTNERS.items():
        if way != partner:
            samples[f"over {name}"] = differences(seconds[way], seconds[partner])
            samples[f"ratio to {name}"] = ratios(seconds[way], seconds[partner])
    return Row(way, samples)
