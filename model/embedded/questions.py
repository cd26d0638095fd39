"""The prompts that scores are measured on, from one seed: what is asked, and how to tell whether
it was drawn.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from .captions import caption
from .catalogue import CatalogueObject, catalogue
from .palette import (
    BACKGROUND_NAMES,
    OBJECT_COLOUR_NAMES,
    STYLES,
    UNNAMED_BACKGROUND,
    is_held_out,
)
from .references import DETAIL_EVERY

SEED: Final = 1234
ALL_PROMPTS: Final = 200
# Of every 200 prompts, how many more ask for a colour, for a small object, or measure sharpness.
EXTRA_SHARE: Final = 0.25
FLAT_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt; ``background``, ``style`` index the palette, ``unseen`` says that training held
    out the pair.
    """

    prompt: str
    number: int
    background: int
    style: int
    unseen: bool = False
    hue: str = ""
    small: bool = False


@dataclass(frozen=True, slots=True)
class Questions:
    """Objects on backgrounds (half of them unseen pairs), recoloured, small, and ones with a
    detailed reference.
    """

    plain: tuple[Question, ...]
    coloured: tuple[Question, ...]
    small: tuple[Question, ...]
    detailed: tuple[Question, ...]

    def all(self) -> tuple[Question, ...]:
        return self.plain + self.coloured + self.small + self.detailed


def make_questions(count: int = ALL_PROMPTS, seed: int = SEED) -> Questions:
    """Ask for ``count`` plain pictures and a quarter as many of each other kind."""
    generator = np.random.default_rng(seed)
    objects = catalogue().objects
    recoloured = tuple(each for each in objects if each.recolours)
    extra = max(4, round(count * EXTRA_SHARE))
    coloured = [_coloured(each, generator) for each in _chosen(recoloured, extra, generator)]
    return Questions(
        plain=tuple(
            _plain(each, generator, unseen=place % 2 == 0)
            for place, each in enumerate(_chosen(objects, count, generator))
        ),
        coloured=tuple(sorted(coloured, key=lambda each: each.hue)),
        small=tuple(_small(each, generator) for each in _chosen(objects, extra, generator)),
        detailed=tuple(
            _plain(each, generator, unseen=False)
            for each in _chosen(objects[::DETAIL_EVERY], extra, generator)
        ),
    )


def _chosen(
    objects: tuple[CatalogueObject, ...], count: int, generator: np.random.Generator
) -> list[CatalogueObject]:
    """Every object about as often as any other."""
    order = generator.permutation(len(objects))
    return [objects[order[place % len(order)]] for place in range(count)]


def _background(number: int, unseen: bool, generator: np.random.Generator) -> int:
    fitting = [each for each in range(len(BACKGROUND_NAMES)) if is_held_out(number, each) == unseen]
    # A few objects have every background in training.
    return int(generator.choice(fitting or range(len(BACKGROUND_NAMES))))


def _plain(thing: CatalogueObject, generator: np.random.Generator, *, unseen: bool) -> Question:
    background = _background(thing.number, unseen, generator)
    style = int(generator.random() < FLAT_SHARE)
    prompt = caption(
        thing.name, style=STYLES[style] if style else "", background=BACKGROUND_NAMES[background]
    )
    return Question(prompt, thing.number, background, style, is_held_out(thing.number, background))


def _coloured(thing: CatalogueObject, generator: np.random.Generator) -> Question:
    hue = OBJECT_COLOUR_NAMES[int(generator.integers(len(OBJECT_COLOUR_NAMES)))]
    return Question(caption(thing.name, colour=hue), thing.number, UNNAMED_BACKGROUND, 0, hue=hue)


def _small(thing: CatalogueObject, generator: np.random.Generator) -> Question:
    background = int(generator.integers(len(BACKGROUND_NAMES)))
    prompt = caption(thing.name, size="small", background=BACKGROUND_NAMES[background])
    return Question(
        prompt, thing.number, background, 0, is_held_out(thing.number, background), small=True
    )
