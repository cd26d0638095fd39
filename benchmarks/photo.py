"""A picture that compresses as a photo does, made from a seed: nothing has to be downloaded, and no
photo has to be licensed.
"""

from typing import Any, Final

import numpy as np

# Of photos, the strength of detail falls with its frequency, and that of colour faster.
LIGHT: Final = 1.3
COLOUR: Final = 1.6
CONTRAST: Final = 45.0
MIDDLE: Final = 128.0
# A model's pictures have less grain than a camera's.
GRAIN: Final = 1.0
THINGS: Final = 25
LARGEST_CHANGE: Final = 60.0


def photo_like(height: int, width: int, seed: int = 0) -> Any:
    """uint8 [height, width, 3]: soft shades, things with edges, grain."""
    random = np.random.default_rng(seed)
    light = _shades(random, height, width, LIGHT)
    shades = [light + 0.4 * _shades(random, height, width, COLOUR) for _ in range(3)]
    picture = np.stack(shades, axis=2) * CONTRAST + MIDDLE
    row, column = np.mgrid[:height, :width]
    for _ in range(THINGS):
        y, x = random.uniform(0, height), random.uniform(0, width)
        radius = random.uniform(0.02, 0.2) * min(height, width)
        inside = (row - y) ** 2 + (column - x) ** 2 < radius**2
        picture[inside] += random.uniform(-LARGEST_CHANGE, LARGEST_CHANGE, 3)
    picture += random.standard_normal(picture.shape) * GRAIN
    return np.clip(picture, 0, 255).astype(np.uint8)


def _shades(random: np.random.Generator, height: int, width: int, fall: float) -> Any:
    """Noise of which the detail fades, of deviation 1."""
    spectrum = np.fft.rfft2(random.standard_normal((height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1.0
    found = np.fft.irfft2(spectrum / frequency**fall, (height, width))
    return found / found.std()
