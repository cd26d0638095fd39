"""Compact pictures of every object, so that scores need no download; and the committed catalogue.

An atlas is one WebP picture of equal cells in the catalogue's order. The small cells tell objects
apart; larger cells of a sample of objects tell how sharp a drawn picture is.
"""

import argparse
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .catalogue import CATALOGUE_FILE
from .objects import PICTURES_FILE, DrawnObject, read_objects
from .palette import PICTURE_SIDE, SIZES, STYLES
from .prepare import picture_name

Bytes = NDArray[np.uint8]

REFERENCE_FOLDER: Final = Path(__file__).parent / "references"
JUDGED_SIDE: Final = PICTURE_SIDE // 2
# A cell is as large as the object in a picture, so that no reference is scaled before it is
# compared.
NAME_CELL: Final = round(JUDGED_SIDE * SIZES[""])
DETAIL_CELL: Final = round(PICTURE_SIDE * SIZES[""])
COLUMNS: Final = 33
# Files stay below 1 MB each.
CELLS_IN_A_FILE: Final = 17 * COLUMNS
DETAIL_EVERY: Final = 13


@dataclass(frozen=True, slots=True)
class Atlas:
    """Which cells to keep: the file's first word, a cell's side, and one object in how many."""

    name: str
    cell: int
    every: int


NAMES: Final = Atlas("names", NAME_CELL, 1)
DETAILS: Final = Atlas("details", DETAIL_CELL, DETAIL_EVERY)


def load_cells(atlas: Atlas, style: str, count: int) -> Bytes:
    """Read the atlas cells of one style as (objects, cell, cell, 4), for ``count`` objects in the
    catalogue.
    """
    kept = len(range(0, count, atlas.every))
    files = range(0, kept, CELLS_IN_A_FILE)
    parts = [_cut(_file(atlas, style, part), atlas.cell) for part in range(len(files))]
    return np.concatenate(parts)[:kept]


def _file(atlas: Atlas, style: str, part: int) -> Path:
    return REFERENCE_FOLDER / f"{atlas.name}-{style}-{part + 1}.webp"


def _cut(path: Path, cell: int) -> Bytes:
    with Image.open(path) as picture:
        sheet = np.asarray(picture.convert("RGBA"))
    rows = sheet.shape[0] // cell
    cells = sheet.reshape(rows, cell, COLUMNS, cell, 4).swapaxes(1, 2)
    return cells.reshape(rows * COLUMNS, cell, cell, 4)


def write_references(data: Path) -> list[Path]:
    """Write all atlases from a prepared folder and return their paths."""
    REFERENCE_FOLDER.mkdir(exist_ok=True)
    objects = read_objects(data)
    with zipfile.ZipFile(data / PICTURES_FILE) as archive:
        return [
            path
            for atlas in (NAMES, DETAILS)
            for style in STYLES
            for path in _write(archive, atlas, style, objects)
        ]


def _write(
    archive: zipfile.ZipFile, atlas: Atlas, style: str, objects: list[DrawnObject]
) -> list[Path]:
    kept = objects[:: atlas.every]
    paths = []
    for part, start in enumerate(range(0, len(kept), CELLS_IN_A_FILE)):
        cells = [
            _cell(archive, style, each, atlas.cell)
            for each in kept[start : start + CELLS_IN_A_FILE]
        ]
        path = _file(atlas, style, part)
        _tiled(cells, atlas.cell).save(path, "WEBP", quality=60, alpha_quality=60, method=6)
        paths.append(path)
    return paths


def _cell(archive: zipfile.ZipFile, style: str, thing: DrawnObject, side: int) -> Image.Image:
    with Image.open(io.BytesIO(archive.read(picture_name(style, thing.code)))) as picture:
        return picture.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)


def _tiled(cells: list[Image.Image], side: int) -> Image.Image:
    sheet = Image.new("RGBA", (COLUMNS * side, -(-len(cells) // COLUMNS) * side), (0, 0, 0, 0))
    for place, cell in enumerate(cells):
        sheet.paste(cell, (place % COLUMNS * side, place // COLUMNS * side))
    return sheet


def write_catalogue(data: Path) -> None:
    """Write catalogue.json, one line an object."""
    keys = ("number", "name", "category", "recolours")
    records = [{key: getattr(each, key) for key in keys} for each in read_objects(data)]
    lines = ",\n".join(json.dumps(record) for record in records)
    CATALOGUE_FILE.write_text(f"[\n{lines}\n]\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="folder written by python -m model.embedded.prepare",
    )
    data = parser.parse_args().data
    write_catalogue(data)
    print(f"Wrote {CATALOGUE_FILE.name}")
    for path in write_references(data):
        print(f"Wrote {path.name}, {path.stat().st_size / 1e6:.2f} MB")
    print("Next: python -m model.embedded.score")


if __name__ == "__main__":
    main()
