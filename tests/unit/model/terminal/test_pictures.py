"""What terminals are sent, read back as they read it."""

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.terminal.means import Means
from model.terminal.pictures import CELL, PART, written

COLUMNS, ROWS = 20, 10


def picture(width: int = 64, height: int = 48) -> Image.Image:
    """A red half and a blue one, with a shade from above to below."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 250
    pixels[:, width // 2 :, 2] = 250
    pixels[:, :, 1] = np.linspace(0, 200, height, dtype=np.uint8)[:, None]
    return Image.fromarray(pixels)


def file(width: int = 64, height: int = 48, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture(width, height).save(buffer, kind)
    return buffer.getvalue()


def difference(found: Any, wanted: Image.Image) -> float:
    scaled = wanted.resize((found.shape[1], found.shape[0]), Image.Resampling.LANCZOS)
    return float(np.abs(found.astype(int) - np.asarray(scaled)).mean())


def test_without_means_nothing_is_written() -> None:
    assert written(file(), Means.NONE, COLUMNS, ROWS) == ""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_kitty_gets_a_png_in_parts(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind, quality=100)
    text = written(buffer.getvalue(), Means.KITTY, COLUMNS, ROWS)
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert "".join(f"\x1b_G{head};{data}\x1b\\" for head, data in parts) + "\n" == text
    assert parts[0][0] == "f=100,a=T,q=2,c=8,r=3,m=1"
    assert [head for head, _ in parts[1:]] == ["m=1"] * (len(parts) - 2) + ["m=0"]
    assert all(len(data) <= PART for _, data in parts)
    found = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in parts))))
    assert found.format == "PNG"
    assert np.array_equal(np.asarray(found), np.asarray(Image.open(buffer).convert("RGB")))


def test_kitty_gets_a_small_picture_at_once() -> None:
    text = written(file(8, 16), Means.KITTY, COLUMNS, ROWS)
    assert text.startswith("\x1b_Gf=100,a=T,q=2,c=1,r=1,m=0;")
    assert text.count("\x1b_G") == 1


def test_iterm_gets_a_file_and_its_size() -> None:
    text = written(file(), Means.ITERM, COLUMNS, ROWS)
    found = re.fullmatch(r"\x1b\]1337;File=inline=1;size=(\d+);width=8;height=3:(.*)\x07\n", text)
    assert found
    data = base64.b64decode(found[2])
    assert len(data) == int(found[1])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(picture()))


def read_sixel(text: str) -> Any:
    """As VT340s do: colours, runs, returns and new lines of six rows."""
    found = re.fullmatch(r'\x1bPq"1;1;(\d+);(\d+)(.*)\x1b\\\n', text, re.DOTALL)
    assert found
    pixels = np.full((int(found[2]) + 5, int(found[1]), 3), 255, np.uint8)
    palette: dict[int, list[int]] = {}
    colour = x = y = 0
    for token in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|([$-])|(.)", found[3]):
        if token[1]:
            palette[int(token[1])] = [round(int(each) * 2.55) for each in token.group(2, 3, 4)]
        elif token[5]:
            colour = int(token[5])
        elif token[8]:
            x, y = 0, y + 6 * (token[8] == "-")
        else:
            count, sign = (int(token[6]), token[7]) if token[6] else (1, token[9])
            for row in range(6):
                if (ord(sign) - 63) >> row & 1:
                    pixels[y + row, x : x + count] = palette[colour]
            x += count
    return pixels[: int(found[2])]


@pytest.mark.parametrize("size", [(64, 48), (320, 400)])
def test_sixel_draws_every_pixel(size: tuple[int, int]) -> None:
    found = read_sixel(written(file(*size), Means.SIXEL, COLUMNS, ROWS))
    assert found.shape[1] % CELL[0] == found.shape[0] % CELL[1] == 0
    assert difference(found, picture(*size)) < 4


def read_blocks(text: str, colour: str) -> Any:
    """Two pixels for each character."""
    lines = text.removesuffix("\n").split("\n")
    rows = []
    for line in lines:
        assert line.endswith("\x1b[0m")
        cells = re.findall(rf"\x1b\[38;{colour};48;{colour}m▀", line)
        assert len(cells) == line.count("▀")
        values = np.array(cells, int)
        rows += [values[:, : values.shape[1] // 2], values[:, values.shape[1] // 2 :]]
    return np.stack(rows)


def test_blocks_are_two_pixels_each() -> None:
    found = read_blocks(written(file(), Means.BLOCKS, COLUMNS, ROWS), r"2;(\d+);(\d+);(\d+)")
    assert found.shape == (16, 20, 3)
    assert difference(found, picture()) < 1


def test_blocks_are_not_blown_up() -> None:
    found = read_blocks(written(file(6, 4), Means.BLOCKS, COLUMNS, ROWS), r"2;(\d+);(\d+);(\d+)")
    assert np.array_equal(found, np.asarray(picture(6, 4)))


def test_blocks_of_256_colours_are_the_nearest() -> None:
    found = read_blocks(written(file(), Means.BLOCKS_256, COLUMNS, ROWS), r"5;(\d+)")[:, :, 0] - 16
    colours = np.stack([found // 36, found // 6 % 6, found % 6], axis=2) * 51
    assert difference(colours, picture()) < 26


@pytest.mark.parametrize(
    ("size", "cells"),
    [
        ((1024, 1024), (20, 10)),
        ((1600, 400), (20, 2)),
        ((100, 4000), (1, 10)),
        ((64, 64), (8, 4)),
        ((1, 1), (1, 1)),
    ],
)
def test_pictures_fit_and_are_not_blown_up(size: tuple[int, int], cells: tuple[int, int]) -> None:
    text = written(file(*size), Means.KITTY, COLUMNS, ROWS)
    assert f",c={cells[0]},r={cells[1]}," in text
