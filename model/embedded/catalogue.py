"""What the embedded model can draw, for people and for the server's command line.

Imports no torch: listing names must be instant. The names come from catalogue.json, which the data
preparation wrote; ``number`` is an object's place there and decides the backgrounds that training
held out.
"""

import json
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

from .captions import example_prompts
from .palette import BACKGROUND_NAMES, OBJECT_COLOUR_NAMES, SIZE_NAMES, STYLES

CATALOGUE_FILE: Final = Path(__file__).parent / "catalogue.json"
WIDEST: Final = 100
HELP: Final = (
    "A prompt names one object, and if you like a size, a colour, a style and a background."
)


@dataclass(frozen=True, slots=True)
class CatalogueObject:
    """One object by the name that a prompt uses; ``recolours`` says whether a prompt may change
    its colour.
    """

    number: int
    name: str
    category: str
    recolours: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every word that the model understands in its place."""

    objects: tuple[CatalogueObject, ...]
    styles: tuple[str, ...] = STYLES
    sizes: tuple[str, ...] = tuple(name for name in SIZE_NAMES if name)
    object_colours: tuple[str, ...] = OBJECT_COLOUR_NAMES
    backgrounds: tuple[str, ...] = BACKGROUND_NAMES


@cache
def catalogue() -> Catalogue:
    """Read catalogue.json, which is part of the package."""
    records = json.loads(CATALOGUE_FILE.read_text())
    return Catalogue(tuple(CatalogueObject(**record) for record in records))


def list_objects(search: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Categories in the catalogue's order with the names that contain ``search``; empty categories
    are left out.
    """
    found = [each for each in catalogue().objects if search.lower() in each.name]
    order = list(dict.fromkeys(each.category for each in catalogue().objects))
    found.sort(key=lambda each: (order.index(each.category), each.number))
    for category, members in groupby(found, key=lambda each: each.category):
        yield category, tuple(each.name for each in members)


def print_catalogue(search: str = "", write: Callable[[str], object] = print) -> None:
    """Print the names by category, the other words a prompt may use, and example prompts."""
    width = min(WIDEST, shutil.get_terminal_size().columns)
    found = tuple(list_objects(search))
    for category, names in found:
        write(f"{category} ({len(names)})")
        write(_wrapped(", ".join(names), width) + "\n")
    if not found:
        write(f"No object has {search!r} in its name.\n")
    for line in _help(width):
        write(line)


def _help(width: int) -> Iterator[str]:
    words = catalogue()
    yield HELP
    yield _wrapped(f"sizes: {', '.join(words.sizes)}; styles: {', '.join(words.styles)}", width)
    yield _wrapped(f"object colours: {', '.join(words.object_colours)}", width)
    yield _wrapped(f"backgrounds: {', '.join(words.backgrounds)}", width)
    yield "Examples:"
    yield from (f"  {prompt}" for prompt in example_prompts())


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(
        text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )


if __name__ == "__main__":
    print_catalogue()
