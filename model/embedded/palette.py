"""The words that captions may use for colour, size and style, and what each one means in pixels.

One table for everything that names a colour: the renderer, the captions and the scores must agree
on it.
"""

from typing import Final

Colour = tuple[int, int, int]

BACKGROUNDS: Final[dict[str, Colour]] = {
    "white": (255, 255, 255),
    "black": (14, 14, 14),
    "gray": (128, 128, 128),
    "red": (218, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 216, 50),
    "green": (48, 165, 75),
    "cyan": (70, 205, 220),
    "blue": (45, 100, 225),
    "purple": (128, 58, 188),
    "pink": (250, 155, 198),
    "brown": (120, 75, 45),
}
BACKGROUND_NAMES: Final = tuple(BACKGROUNDS)
UNNAMED_BACKGROUND: Final = BACKGROUND_NAMES.index("white")

OBJECT_HUES: Final[dict[str, float]] = {
    "red": 0.0,
    "orange": 24.0,
    "yellow": 50.0,
    "green": 125.0,
    "blue": 215.0,
    "purple": 275.0,
    "pink": 325.0,
}
OBJECT_COLOUR_NAMES: Final = tuple(OBJECT_HUES)

# Share of the picture's side that an object's longer side takes; no word means "medium".
SIZES: Final[dict[str, float]] = {"": 0.86, "small": 0.52, "big": 1.0}
SIZE_NAMES: Final = tuple(SIZES)

# A caption that names no style asks for the first one.
STYLES: Final = ("3d", "flat")

PICTURE_SIDE: Final = 128


def is_held_out(object_number: int, background: int) -> bool:
    """Say whether training never shows this object on this background, so that scores can test new
    pairs.

    The background that stands for "none named" is never held out: nearly every caption may imply
    it.
    """
    return background != UNNAMED_BACKGROUND and (object_number * 7 + background * 3) % 10 == 0
