"""Pictures as the characters that make a terminal show them.

Protocols: https://sw.kovidgoyal.net/kitty/graphics-protocol, https://iterm2.com/documentation-images.html,
https://vt100.net/docs/vt3xx-gp/chapter14.html (sixel).
"""

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from PIL import Image

from .means import Means

UPPER_HALF: Final = "▀"
RESET: Final = "\x1b[0m"
# What kitty takes at once.
PART: Final = 4096
SIXEL_COLOURS: Final = 255
SIXEL_ROWS: Final = 6
# Sixel's digits start here.
SIXEL_ZERO: Final = 63
# Pixels of a character, which is about twice as high as wide; and of one that is two blocks.
CELL: Final = (8, 16)
BLOCK: Final = (1, 2)


def written(file: bytes, means: Means, columns: int, rows: int) -> str:
    """``file``: a PNG, JPEG, WebP or AVIF that is ours. What shows it in at most ``columns`` and
    ``rows`` of characters, and a line end; nothing where there are no means to.
    """
    if means is Means.NONE:
        return ""
    picture = Image.open(io.BytesIO(file)).convert("RGB")
    cell = BLOCK if means in (Means.BLOCKS, Means.BLOCKS_256) else CELL
    width, height = _fitted(picture.size, columns, rows, cell)
    return _WRITERS[means](picture, width, height) + "\n"


def _fitted(
    size: tuple[int, int], columns: int, rows: int, cell: tuple[int, int]
) -> tuple[int, int]:
    """Characters across and down: no more than there are pixels for."""
    scale = min(columns * cell[0] / size[0], rows * cell[1] / size[1], 1.0)
    return max(1, round(size[0] * scale / cell[0])), max(1, round(size[1] * scale / cell[1]))


def _kitty(picture: Image.Image, columns: int, rows: int) -> str:
    data = base64.b64encode(_png(picture)).decode("ascii")
    parts = [data[place : place + PART] for place in range(0, len(data), PART)]
    # As PNG, shown at once, without an answer.
    found = [f"f=100,a=T,q=2,c={columns},r={rows},m={int(len(parts) > 1)};{parts[0]}"]
    found += [f"m={int(number < len(parts))};{each}" for number, each in enumerate(parts[1:], 2)]
    return "".join(f"\x1b_G{each}\x1b\\" for each in found)


def _iterm(picture: Image.Image, columns: int, rows: int) -> str:
    file = _png(picture)
    data = base64.b64encode(file).decode("ascii")
    return f"\x1b]1337;File=inline=1;size={len(file)};width={columns};height={rows}:{data}\x07"


def _sixel(picture: Image.Image, columns: int, rows: int) -> str:
    small = picture.resize((columns * CELL[0], rows * CELL[1]), Image.Resampling.LANCZOS)
    indexed = small.quantize(SIXEL_COLOURS)
    palette = np.asarray(indexed.getpalette(), np.uint8).reshape(-1, 3)
    pixels = np.asarray(indexed)
    colours = "".join(
        f"#{number};2;{';'.join(str(round(each / 2.55)) for each in colour)}"
        for number, colour in enumerate(palette.tolist())
    )
    bands = "-".join(
        _band(pixels[top : top + SIXEL_ROWS]) for top in range(0, len(pixels), SIXEL_ROWS)
    )
    return f'\x1bPq"1;1;{small.width};{small.height}{colours}{bands}\x1b\\'


def _band(rows: Any) -> str:
    """Six rows of pixels: one pass for each colour in them."""
    bits = 1 << np.arange(len(rows))[:, None]
    passes = []
    for colour in np.unique(rows):
        values = ((rows == colour) * bits).sum(axis=0) + SIXEL_ZERO
        passes.append(f"#{colour}{''.join(_runs(values.tolist()))}")
    return "$".join(passes)


def _runs(values: list[int]) -> Iterator[str]:
    place = 0
    while place < len(values):
        end = place
        while end < len(values) and values[end] == values[place]:
            end += 1
        count, sign = end - place, chr(values[place])
        yield f"!{count}{sign}" if count > 3 else sign * count
        place = end


def _blocks(colour: Callable[[Any], str]) -> Callable[[Image.Image, int, int], str]:
    def write(picture: Image.Image, columns: int, rows: int) -> str:
        small = picture.resize((columns, rows * 2), Image.Resampling.LANCZOS)
        pixels = np.asarray(small)
        lines = []
        for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
            cells = (
                f"\x1b[38;{colour(above)};48;{colour(below)}m{UPPER_HALF}"
                for above, below in zip(upper, lower, strict=True)
            )
            lines.append("".join(cells) + RESET)
        return "\n".join(lines)

    return write


def _true(pixel: Any) -> str:
    red, green, blue = pixel.tolist()
    return f"2;{red};{green};{blue}"


def _of_256(pixel: Any) -> str:
    """The nearest of the cube of six times six times six."""
    red, green, blue = (round(each / 51) for each in pixel.tolist())
    return f"5;{16 + 36 * red + 6 * green + blue}"


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


_WRITERS: Final[dict[Means, Callable[[Image.Image, int, int], str]]] = {
    Means.KITTY: _kitty,
    Means.ITERM: _iterm,
    Means.SIXEL: _sixel,
    Means.BLOCKS: _blocks(_true),
    Means.BLOCKS_256: _blocks(_of_256),
}
