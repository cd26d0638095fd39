"""Turn the npm packages into one small folder that training reads: objects.json and pictures.zip.

Every object is cropped to its outline and centred, so that "small" means the same for all.
"""

import argparse
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from . import naming
from .colours import describe_colour
from .objects import OBJECTS_FILE, PICTURES_FILE, DrawnObject, write_objects
from .palette import STYLES

# The renderer draws at twice the picture's side: an object of the usual size is 220 wide there.
SOURCE_SIDE: Final = 220
LONGEST_ALIAS: Final = 32
LONGEST_KEYWORD: Final = 20
KEYWORDS_KEPT: Final = 4

PACKAGES: Final = """the four npm packages, each unpacked into a folder of its own:
  @lobehub/fluent-emoji-3d 1.1.0, @lobehub/fluent-emoji-flat 1.1.0,
  emoji-datasource-google 16.0.0 (emoji.json alone), emojilib 4.0.3
Rendering the flat pictures needs the Python package resvg-py (only here, never at run time)."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders of the four unpacked packages."""

    solid: Path
    flat: Path
    table: Path
    keywords: Path


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that both styles can draw, before its words are checked against the others."""

    code: str
    name: str
    category: str
    aliases: tuple[str, ...]
    keywords: tuple[str, ...]
    pictures: dict[str, Path]


def candidates(sources: Sources) -> Iterator[Candidate]:
    """Every wanted entry in the data set's own order, each name once."""
    entries = json.loads((sources.table / "emoji.json").read_text())
    keywords = json.loads((sources.keywords / "dist" / "emoji-en-US.json").read_text())
    pictures = {"3d": _by_code(sources.solid, "webp"), "flat": _by_code(sources.flat, "svg")}
    taken: set[str] = set()
    for entry in sorted(entries, key=lambda each: int(each["sort_order"])):
        candidate = _candidate(entry, keywords, pictures, taken)
        if candidate:
            taken.add(candidate.name)
            yield candidate


def _by_code(package: Path, ending: str) -> dict[str, Path]:
    return {
        _short_code(path.stem): path for path in sorted((package / "assets").glob(f"*.{ending}"))
    }


def _short_code(code: str) -> str:
    return code.lower().replace("-fe0f", "")


def _candidate(
    entry: dict[str, Any],
    keywords: dict[str, list[str]],
    pictures: dict[str, dict[str, Path]],
    taken: set[str],
) -> Candidate | None:
    code = _short_code(entry["unified"])
    if not naming.is_wanted(entry["short_name"], entry["category"], entry["subcategory"]):
        return None
    if any(code not in pictures[style] for style in STYLES) or _is_variant(entry["category"], code):
        return None
    words = _keywords_of(entry["unified"], keywords)
    names = _names(entry, words)
    name = next((each for each in names if each and each not in taken), None)
    if not name:
        return None
    return Candidate(
        code=code,
        name=name,
        category=naming.CATEGORIES[entry["category"]],
        aliases=tuple(sorted(set(names) - {name})),
        keywords=tuple(naming.plain_words(word) for word in words[1:]),
        pictures={style: pictures[style][code] for style in STYLES},
    )


def _is_variant(category: str, code: str) -> bool:
    """A person with a profession or a skin tone: the model learns the plain one only."""
    return category == "People & Body" and ("200d" in code or "1f3f" in code)


def _keywords_of(unified: str, keywords: dict[str, list[str]]) -> list[str]:
    characters = "".join(chr(int(part, 16)) for part in unified.split("-"))
    return keywords.get(characters) or keywords.get(characters.replace("\ufe0f", "")) or []


def _names(entry: dict[str, Any], words: list[str]) -> list[str]:
    """The best name first, then the other names of one entry."""
    short = entry["short_name"]
    best = naming.RENAMED.get(short) or (words[0] if words else entry["name"])
    return [
        naming.plain_words(each)
        for each in (best, short, *entry["short_names"], entry["name"], *words[:1])
    ]


def with_unambiguous_words(found: list[Candidate]) -> list[Candidate]:
    """Keep an alias or a keyword only where it asks for one object."""
    names = {each.name for each in found}
    aliases = Counter(alias for each in found for alias in each.aliases)
    keywords = Counter(word for each in found for word in set(each.keywords))

    def checked(each: Candidate) -> Candidate:
        kept_aliases = [
            alias
            for alias in each.aliases
            if aliases[alias] == 1 and alias not in names and naming.is_usable(alias, LONGEST_ALIAS)
        ]
        kept_keywords = [
            word
            for word in sorted(set(each.keywords))
            if keywords[word] == 1
            and word not in names
            and word not in aliases
            and naming.is_usable(word, LONGEST_KEYWORD)
        ]
        return replace(
            each, aliases=tuple(kept_aliases), keywords=tuple(kept_keywords[:KEYWORDS_KEPT])
        )

    return [checked(each) for each in found]


def open_picture(path: Path) -> Image.Image:
    """Read a WebP picture, or draw an SVG one. Raises ImportError where resvg-py is missing."""
    if path.suffix != ".svg":
        return Image.open(path).convert("RGBA")
    import resvg_py  # type: ignore[import-not-found,unused-ignore]

    drawn = resvg_py.svg_to_bytes(
        svg_string=path.read_text(), width=2 * SOURCE_SIDE, height=2 * SOURCE_SIDE
    )
    return Image.open(io.BytesIO(bytes(drawn))).convert("RGBA")


def cropped_and_centred(picture: Image.Image, side: int) -> Image.Image:
    """Crop to the outline and centre in a transparent square of the given side."""
    outline = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 8)).getbbox()
    cropped = picture.crop(outline or (0, 0, *picture.size))
    longest = max(cropped.size)
    square = Image.new("RGBA", (longest, longest), (0, 0, 0, 0))
    square.paste(cropped, ((longest - cropped.width) // 2, (longest - cropped.height) // 2))
    return square.resize((side, side), Image.Resampling.LANCZOS)


def picture_name(style: str, code: str) -> str:
    return f"{style}/{code}.webp"


def _as_webp(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=92, alpha_quality=100, method=4)
    return buffer.getvalue()


def prepare(sources: Sources, folder: Path) -> list[DrawnObject]:
    """Write objects.json and pictures.zip and return the objects."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = []
    with zipfile.ZipFile(folder / PICTURES_FILE, "w", zipfile.ZIP_STORED) as archive:
        for number, candidate in enumerate(with_unambiguous_words(list(candidates(sources)))):
            drawn = {
                s: cropped_and_centred(open_picture(candidate.pictures[s]), SOURCE_SIDE)
                for s in STYLES
            }
            for style, picture in drawn.items():
                archive.writestr(
                    zipfile.ZipInfo(picture_name(style, candidate.code)), _as_webp(picture)
                )
            objects.append(_described(number, candidate, drawn))
    write_objects(objects, folder)
    return objects


def _described(number: int, candidate: Candidate, drawn: dict[str, Image.Image]) -> DrawnObject:
    colours = {
        style: describe_colour(np.asarray(picture.resize((48, 48))))
        for style, picture in drawn.items()
    }
    names_a_colour = naming.speaks_of_colour_or_size(candidate.name)
    return DrawnObject(
        number=number,
        code=candidate.code,
        name=candidate.name,
        category=candidate.category,
        aliases=candidate.aliases,
        keywords=candidate.keywords,
        hues={style: colour.hue for style, colour in colours.items()},
        own_colour="" if names_a_colour else colours[STYLES[0]].word,
        recolours=not names_a_colour and all(colour.recolours for colour in colours.values()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=PACKAGES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--solid", type=Path, required=True, help="folder of @lobehub/fluent-emoji-3d"
    )
    parser.add_argument(
        "--flat", type=Path, required=True, help="folder of @lobehub/fluent-emoji-flat"
    )
    parser.add_argument(
        "--table", type=Path, required=True, help="folder of emoji-datasource-google"
    )
    parser.add_argument("--keywords", type=Path, required=True, help="folder of emojilib")
    parser.add_argument("--data", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    sources = Sources(arguments.solid, arguments.flat, arguments.table, arguments.keywords)
    objects = prepare(sources, arguments.data)
    print(f"{len(objects)} objects, of which {sum(each.recolours for each in objects)} recolour")
    print(f"Wrote {arguments.data / OBJECTS_FILE} and {arguments.data / PICTURES_FILE}.")
    print(f"Next: python -m model.embedded.train --data {arguments.data} --output FOLDER")


if __name__ == "__main__":
    main()
