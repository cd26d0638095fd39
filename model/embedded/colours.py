"""What colour an object is: its main hue, and whether it has one hue that can be turned."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float64]

# Where one colour word ends and the next begins, in degrees; red closes the circle.
HUE_WORDS: Final = (
    ("red", 0),
    ("orange", 20),
    ("yellow", 46),
    ("green", 125),
    ("blue", 215),
    ("purple", 275),
    ("pink", 320),
    ("red", 360),
)
NEAR: Final = 35.0


@dataclass(frozen=True, slots=True)
class ColourOfObject:
    """Main hue in degrees, the share of all chroma near it, and the mean chroma (0 to 1)."""

    hue: float
    share: float
    chroma: float

    @property
    def word(self) -> str:
        """The colour word for an object that is plainly of one colour, or ""."""
        if self.share <= 0.75 or self.chroma <= 0.25:
            return ""
        return min(HUE_WORDS, key=lambda each: abs(each[1] - self.hue))[0]

    @property
    def recolours(self) -> bool:
        return self.share > 0.58 and self.chroma > 0.2


def hue_and_chroma(rgb: Pixels) -> tuple[Pixels, Pixels]:
    """Hue in degrees and chroma of pixels (..., 3) in 0 to 1."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    top = rgb.max(-1)
    chroma = top - rgb.min(-1)
    divisor = np.maximum(chroma, 1e-5)
    sextant = np.select(
        [top == red, top == green],
        [((green - blue) / divisor) % 6, (blue - red) / divisor + 2],
        (red - green) / divisor + 4,
    )
    return sextant * 60, chroma


def hue_distance(first: Pixels, second: Pixels | float) -> Pixels:
    """Degrees between hues, the short way round."""
    return np.abs((first - second + 180) % 360 - 180)


def describe_colour(picture: NDArray[np.uint8]) -> ColourOfObject:
    """Describe an RGBA picture (height, width, 4) by the hue that most of its chroma lies near."""
    pixels = picture.reshape(-1, 4) / 255.0
    opaque = pixels[pixels[:, 3] > 0.5, :3]
    if len(opaque) < 20:
        return ColourOfObject(0.0, 0.0, 0.0)
    hue, chroma = hue_and_chroma(opaque)
    shares = [
        float((chroma * (hue_distance(hue, centre) < NEAR)).sum()) for centre in range(0, 360, 5)
    ]
    near = hue_distance(hue, 5.0 * int(np.argmax(shares))) < NEAR
    mean = np.angle((chroma * near * np.exp(1j * np.deg2rad(hue))).sum(), deg=True) % 360
    share = max(shares) / max(float(chroma.sum()), 1e-6)
    return ColourOfObject(round(float(mean), 2), round(share, 3), round(float(chroma.mean()), 3))
