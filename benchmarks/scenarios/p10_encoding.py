"""What does it cost to turn a picture of a million pixels into a file?

Partner: Pillow's PNG, at the level that it takes by default, and at its fastest. Both get the same
pixels in turns, in a shuffled order, on one thread.
Goal: a PNG of a 1024x1024 photo-like picture within 30 ms, and no larger than Pillow's default.

Two pictures: one that is made to compress as a photo does, and flat shapes with hard edges. The
other formats stand beside them, for what a user saves who asks for one. No server runs.
"""

import io
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from PIL import Image

from model.media.encode import LOSSY, PNG, encode

from ..effort import Effort, Tell
from ..photo import photo_like
from ..report import Findings, Goal, Row
from ..samples import Sample, mebibytes, milliseconds, ratios
from ..subject import Subject

LIMIT_MS: Final = 30.0
SIDE: Final = 1024
PHOTO: Final = "photo-like"
OURS: Final = "Kiln, png"
PARTNER: Final = "Pillow, png, its default (level 6)"
FASTEST: Final = "Pillow, png, level 1"
FASTEST_LEVEL: Final = 1
ORDER_SEED: Final = 0
UNMEASURED_ROUNDS: Final = 1

Encode = Callable[[Any], bytes]
# Seconds and bytes of each round.
Turns = dict[str, list[tuple[float, int]]]


def measure(effort: Effort, subject: Subject, tell: Tell) -> Findings:
    pictures = {PHOTO: photo_like(SIDE, SIDE), "flat shapes": _shapes()}
    turns = {name: _in_turns(name, pixels, effort, tell) for name, pixels in pictures.items()}
    ours, partner = turns[PHOTO][OURS], turns[PHOTO][PARTNER]
    return Findings(
        rows=tuple(_row(name, way, found) for name, found in turns.items() for way in found),
        goals=(
            Goal("a PNG of the photo", milliseconds(_seconds(ours)).median, LIMIT_MS, "ms"),
            Goal("its size over the partner's", _sizes(ours, partner).median, 1.0, "ratio"),
        ),
        repetitions=f"{effort.rounds} rounds in shuffled order, after {UNMEASURED_ROUNDS} "
        "unmeasured; ratios are within a round",
        notes=(f"{SIDE}x{SIDE}, RGB; the other formats are visually lossless, and not the same",),
    )


def _ways() -> dict[str, Encode]:
    ours = {f"Kiln, {each}": _kiln(each) for each in (PNG, *LOSSY)}
    return {**ours, PARTNER: _pillow(), FASTEST: _pillow(compress_level=FASTEST_LEVEL)}


def _kiln(output_format: str) -> Encode:
    return lambda pixels: encode(pixels, output_format, {"seed": 7})


def _pillow(**options: int) -> Encode:
    def encoded(pixels: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", **options)
        return buffer.getvalue()

    return encoded


def _shapes() -> Any:
    """The photo in eight flat colours."""
    colours = Image.fromarray(photo_like(SIDE, SIDE, seed=1)).quantize(8, dither=Image.Dither.NONE)
    return np.asarray(colours.convert("RGB"))


def _in_turns(name: str, pixels: Any, effort: Effort, tell: Tell) -> Turns:
    ways, rounds = _ways(), effort.rounds
    found: Turns = {way: [] for way in ways}
    shuffled = random.Random(ORDER_SEED)  # noqa: S311 - an order, no secret
    for number in range(UNMEASURED_ROUNDS + rounds):
        tell(f"P10: {name}, round {number + 1} of {UNMEASURED_ROUNDS + rounds}")
        for way in shuffled.sample(list(ways), len(ways)):
            started = time.perf_counter()
            size = len(ways[way](pixels))
            taken = time.perf_counter() - started
            if number >= UNMEASURED_ROUNDS:
                found[way].append((taken, size))
    return found


def _row(picture: str, way: str, turns: Mapping[str, list[tuple[float, int]]]) -> Row:
    samples: dict[str, Sample] = {
        "time": milliseconds(_seconds(turns[way])),
        "size": mebibytes(size for _, size in turns[way][:1]),
    }
    if way != PARTNER:
        samples["time over Pillow's default"] = ratios(
            _seconds(turns[way]), _seconds(turns[PARTNER])
        )
        samples["size over Pillow's default"] = _sizes(turns[way][:1], turns[PARTNER][:1])
    return Row(f"{picture}: {way}", samples)


def _seconds(turns: Iterable[tuple[float, int]]) -> list[float]:
    return [seconds for seconds, _ in turns]


def _sizes(over: Iterable[tuple[float, int]], under: Iterable[tuple[float, int]]) -> Sample:
    return ratios((size for _, size in over), (size for _, size in under))
