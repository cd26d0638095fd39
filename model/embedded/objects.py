"""The objects that training draws: what the data preparation writes and every later stage reads."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

OBJECTS_FILE = "objects.json"
PICTURES_FILE = "pictures.zip"


@dataclass(frozen=True, slots=True)
class DrawnObject:
    """One object with its names and its colour.

    ``number`` is its place in the list and decides the held-out backgrounds; ``code`` is its code
    point; ``hues`` gives the main hue in degrees for each style; ``own_colour`` is the colour word
    that describes it as it is, or ""; ``recolours`` says whether turning its main hue gives a
    sensible picture.
    """

    number: int
    code: str
    name: str
    category: str
    aliases: tuple[str, ...]
    keywords: tuple[str, ...]
    hues: dict[str, float]
    own_colour: str
    recolours: bool


def write_objects(objects: list[DrawnObject], folder: Path) -> None:
    records = [asdict(each) for each in objects]
    (folder / OBJECTS_FILE).write_text(json.dumps(records, indent=0, ensure_ascii=False) + "\n")


def read_objects(folder: Path) -> list[DrawnObject]:
    """Read what ``prepare`` wrote. Raises FileNotFoundError when the folder was never prepared."""
    records = json.loads((folder / OBJECTS_FILE).read_text())
    return [_from_record(record) for record in records]


def _from_record(record: dict[str, object]) -> DrawnObject:
    lists: dict[str, object] = {key: tuple(record[key]) for key in ("aliases", "keywords")}  # type: ignore[arg-type]
    return DrawnObject(**{**record, **lists})  # type: ignore[arg-type]
