"""Decide at random what to draw, and write the caption that names every choice.

A plan is what the renderer draws and what the captions say, from one seeded generator; pairs of
object and background that are held out never appear in one.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .captions import Wording, caption
from .objects import DrawnObject
from .palette import (
    BACKGROUND_NAMES,
    BACKGROUNDS,
    OBJECT_COLOUR_NAMES,
    OBJECT_HUES,
    SIZE_NAMES,
    SIZES,
    STYLES,
    UNNAMED_BACKGROUND,
    is_held_out,
)

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]

UNCHANGED_HUE: Final = -1.0
SCALE_JITTER: Final = 0.02
BACKGROUND_JITTER: Final = 0.01
# Shares of the picture's side, either way. A small object has room to move.
SHIFTS: Final = {"": 0.008, "small": 0.015, "big": 0.004}


@dataclass(frozen=True, slots=True)
class Mix:
    """How often a plan makes each choice."""

    small: float = 0.3
    big: float = 0.1
    flat: float = 0.4
    recoloured: float = 0.35
    own_colour_named: float = 0.15
    background_named: float = 0.85
    style_named: float = 0.3
    alias: float = 0.14
    keyword: float = 0.05
    silent: float = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to draw, one row a picture.

    ``scales`` and ``shifts`` (n, 2) are shares of the picture's side, ``hues`` degrees or
    UNCHANGED_HUE, ``colours`` (n, 3) the background in 0 to 1; ``backgrounds`` and ``styles``
    index the palette's names.
    """

    objects: Indices
    styles: Indices
    scales: Numbers
    shifts: Numbers
    hues: Numbers
    backgrounds: Indices
    colours: Numbers
    captions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.objects)

    def part(self, start: int, stop: int) -> "Plan":
        rows = slice(start, stop)
        return Plan(
            self.objects[rows],
            self.styles[rows],
            self.scales[rows],
            self.shifts[rows],
            self.hues[rows],
            self.backgrounds[rows],
            self.colours[rows],
            self.captions[rows],
        )


def plain_plan(
    objects: Indices,
    *,
    styles: Indices,
    backgrounds: Indices,
    size: str = "",
    hue: float = UNCHANGED_HUE,
) -> Plan:
    """Objects as they are, centred, without captions: what references and demonstrations draw."""
    count = len(objects)
    return Plan(
        objects=objects,
        styles=styles,
        scales=np.full(count, SIZES[size]),
        shifts=np.zeros((count, 2)),
        hues=np.full(count, hue),
        backgrounds=backgrounds,
        colours=background_colours(backgrounds),
        captions=("",) * count,
    )


def background_colours(backgrounds: Indices) -> Numbers:
    table = np.array([BACKGROUNDS[name] for name in BACKGROUND_NAMES]) / 255
    return np.asarray(table[backgrounds], dtype=np.float64)


def random_plan(
    objects: list[DrawnObject], count: int, generator: np.random.Generator, mix: Mix = Mix()
) -> Plan:
    """Plan ``count`` pictures of all objects alike often."""
    chosen = generator.integers(0, len(objects), count)
    styles = (generator.random(count) < mix.flat).astype(np.int64)
    sizes = _sizes(generator.random(count), mix)
    hues = _hues(objects, chosen, generator, mix)
    named = generator.random(count) < mix.background_named
    backgrounds = np.where(
        named, _trained_backgrounds(objects, chosen, generator), UNNAMED_BACKGROUND
    )
    colours = background_colours(backgrounds) + BACKGROUND_JITTER * _either_way(
        generator, (count, 3)
    )
    scale = np.array([SIZES[name] for name in SIZE_NAMES])[sizes]
    room = np.array([SHIFTS[name] for name in SIZE_NAMES])[sizes]
    plan = Plan(
        objects=chosen,
        styles=styles,
        scales=scale * (1 + SCALE_JITTER * _either_way(generator, (count,))),
        shifts=room[:, None] * _either_way(generator, (count, 2)),
        hues=np.array([OBJECT_HUES[name] for name in OBJECT_COLOUR_NAMES] + [UNCHANGED_HUE])[hues],
        backgrounds=backgrounds,
        colours=colours.clip(0, 1),
        captions=(),
    )
    return _with_captions(plan, objects, sizes, hues, named, generator, mix)


def _either_way(generator: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    return generator.uniform(-1, 1, shape)


def _sizes(choice: Numbers, mix: Mix) -> Indices:
    small, big = SIZE_NAMES.index("small"), SIZE_NAMES.index("big")
    return np.select(
        [choice < mix.small, choice < mix.small + mix.big], [small, big], SIZE_NAMES.index("")
    )


def _hues(
    objects: list[DrawnObject], chosen: Indices, generator: np.random.Generator, mix: Mix
) -> Indices:
    """Places in OBJECT_COLOUR_NAMES, or its length where the object keeps its colour."""
    can = np.array([each.recolours for each in objects])[chosen]
    turned = can & (generator.random(len(chosen)) < mix.recoloured)
    return np.where(
        turned,
        generator.integers(0, len(OBJECT_COLOUR_NAMES), len(chosen)),
        len(OBJECT_COLOUR_NAMES),
    )


@cache
def _trained_pairs(numbers: tuple[int, ...]) -> tuple[Indices, Indices]:
    """For each object its allowed backgrounds first (padded), and how many there are."""
    allowed = [
        [b for b in range(len(BACKGROUND_NAMES)) if not is_held_out(number, b)]
        for number in numbers
    ]
    padded = [row + [row[0]] * (len(BACKGROUND_NAMES) - len(row)) for row in allowed]
    return np.array(padded), np.array([len(row) for row in allowed])


def _trained_backgrounds(
    objects: list[DrawnObject], chosen: Indices, generator: np.random.Generator
) -> Indices:
    padded, counts = _trained_pairs(tuple(each.number for each in objects))
    place = (generator.random(len(chosen)) * counts[chosen]).astype(np.int64)
    return padded[chosen, place]


def _with_captions(
    plan: Plan,
    objects: list[DrawnObject],
    sizes: Indices,
    hues: Indices,
    named: NDArray[np.bool_],
    generator: np.random.Generator,
    mix: Mix,
) -> Plan:
    choices = generator.random((len(plan), 8))
    colour_words = (*OBJECT_COLOUR_NAMES, "")

    def say(row: int) -> str:
        thing, luck = objects[plan.objects[row]], choices[row]
        if luck[0] < mix.silent:
            return ""
        own = thing.own_colour if luck[1] < mix.own_colour_named else ""
        says_style = plan.styles[row] > 0 or luck[2] < mix.style_named
        return caption(
            _noun(thing, luck[3], luck[4], mix),
            size=SIZE_NAMES[sizes[row]],
            colour=colour_words[hues[row]] or own,
            style=STYLES[plan.styles[row]] if says_style else "",
            background=BACKGROUND_NAMES[plan.backgrounds[row]] if named[row] else "",
            wording=Wording(luck[5], luck[6], luck[7]),
        )

    sentences = tuple(say(row) for row in range(len(plan)))
    return Plan(
        plan.objects,
        plan.styles,
        plan.scales,
        plan.shifts,
        plan.hues,
        plan.backgrounds,
        plan.colours,
        sentences,
    )


def _noun(thing: DrawnObject, kind: float, place: float, mix: Mix) -> str:
    if kind < mix.alias and thing.aliases:
        return thing.aliases[int(place * len(thing.aliases))]
    if mix.alias <= kind < mix.alias + mix.keyword and thing.keywords:
        return thing.keywords[int(place * len(thing.keywords))]
    return thing.name
