"""Draw plans on whichever device trains: thousands of pictures a second, with clean edges.

Pictures are drawn at twice their side and halved, and small objects come from a half-size source,
so that no edge is jagged; the model can only get as sharp as what it is shown.
"""

import io
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .objects import PICTURES_FILE, DrawnObject, read_objects
from .palette import PICTURE_SIDE, STYLES
from .plan import Plan
from .prepare import picture_name

OVERSAMPLING: Final = 2
# Below this share of the picture an object is drawn from the smaller source.
SMALL_SCALE: Final = 0.7
SMALL_SOURCE: Final = 0.6


class Renderer:
    """Sources on one device: per style (objects, 4, side, side), bytes, colour premultiplied by
    alpha.
    """

    def __init__(
        self, objects: list[DrawnObject], sources: dict[str, Tensor], side: int = PICTURE_SIDE
    ) -> None:
        self.objects = objects
        self.side = side
        self.levels = [(sources[style], _shrunk(sources[style])) for style in STYLES]
        self.device = self.levels[0][0].device
        hues = [[each.hues[style] for each in objects] for style in STYLES]
        self.main_hues = torch.tensor(hues, device=self.device)

    @classmethod
    def from_folder(cls, folder: Path, device: str, side: int = PICTURE_SIDE) -> "Renderer":
        objects = read_objects(folder)
        with zipfile.ZipFile(folder / PICTURES_FILE) as archive:
            sources = {style: _read_style(archive, style, objects).to(device) for style in STYLES}
        return cls(objects, sources, side)

    def draw(self, plan: Plan) -> Tensor:
        """Draw a plan as (n, 3, side, side) in 0 to 1."""
        layer = functional.avg_pool2d(self._layers(plan), OVERSAMPLING)
        colour, alpha = layer[:, :3], layer[:, 3:]
        colour = self._recoloured(plan, colour, alpha)
        background = self._on_device(plan.colours)[:, :, None, None]
        return (colour + (1 - alpha) * background).clamp(0, 1)

    def _on_device(self, numbers: object) -> Tensor:
        return torch.as_tensor(np.asarray(numbers), dtype=torch.float32, device=self.device)

    def _layers(self, plan: Plan) -> Tensor:
        side = self.side * OVERSAMPLING
        layers = torch.empty(len(plan), 4, side, side, device=self.device)
        placements = self._placements(plan)
        small = plan.scales < SMALL_SCALE
        for style in range(len(STYLES)):
            for level in (0, 1):
                rows = np.flatnonzero((plan.styles == style) & (small == bool(level)))
                if len(rows):
                    layers[rows] = self._sampled(
                        self.levels[style][level], plan.objects[rows], placements[rows]
                    )
        return layers

    def _placements(self, plan: Plan) -> Tensor:
        """Affine maps (n, 2, 3) from the picture's coordinates to the source's, both -1 to 1."""
        scales = self._on_device(plan.scales)
        placements = torch.zeros(len(plan), 2, 3, device=self.device)
        placements[:, 0, 0] = placements[:, 1, 1] = 1 / scales
        placements[:, :, 2] = -2 * self._on_device(plan.shifts) / scales[:, None]
        return placements

    def _sampled(self, source: Tensor, objects: object, placements: Tensor) -> Tensor:
        chosen = torch.as_tensor(np.asarray(objects), device=self.device)
        pictures = source[chosen].float() / 255
        side = self.side * OVERSAMPLING
        grid = functional.affine_grid(
            placements, [len(pictures), 4, side, side], align_corners=False
        )
        return functional.grid_sample(pictures, grid, align_corners=False)

    def _recoloured(self, plan: Plan, colour: Tensor, alpha: Tensor) -> Tensor:
        rows = np.flatnonzero(plan.hues >= 0)
        if not len(rows):
            return colour
        plain = (colour[rows] / alpha[rows].clamp(min=1e-3)).clamp(0, 1)
        main = self.main_hues[plan.styles[rows], plan.objects[rows]]
        colour[rows] = turn_hue(plain, main, self._on_device(plan.hues[rows])) * alpha[rows]
        return colour


def _read_style(archive: zipfile.ZipFile, style: str, objects: list[DrawnObject]) -> Tensor:
    pictures = []
    for each in objects:
        with Image.open(io.BytesIO(archive.read(picture_name(style, each.code)))) as picture:
            pictures.append(premultiplied(np.asarray(picture.convert("RGBA"))))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def premultiplied(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colour times alpha, so that interpolation leaves no dark fringe. Bytes (height, width, 4)
    both ways.
    """
    colour = picture[..., :3].astype(np.uint16) * picture[..., 3:] // 255
    return np.concatenate([colour.astype(np.uint8), picture[..., 3:]], axis=-1)


def _shrunk(source: Tensor) -> Tensor:
    side = round(source.shape[-1] * SMALL_SOURCE)
    parts = [
        functional.interpolate(part.float(), size=side, mode="area")
        for part in torch.split(source, 64)
    ]
    return torch.cat([part.round().byte() for part in parts])


def turn_hue(rgb: Tensor, main: Tensor, target: Tensor) -> Tensor:
    """Turn the pixels near an object's main hue to the target hue; windows, eyes and leaves stay.

    ``rgb`` is (n, 3, height, width) in 0 to 1, ``main`` and ``target`` (n,) in degrees.
    """
    hue, value, saturation = _hue_value_saturation(rgb)
    target = target[:, None, None]
    distance = (hue - main[:, None, None] + 180) % 360 - 180
    weight = ((60 - distance.abs()) / 15).clamp(0, 1)
    # Plain rotation gives olive for yellow, neon for green and magenta for pink.
    value = torch.where((target > 40) & (target < 70), value**0.7, value)
    value = torch.where((target > 90) & (target < 160), value * 0.8, value)
    saturation = torch.where(target > 300, saturation * 0.7, (saturation * 1.1).clamp(max=1))
    turned = _rgb((target + distance * 0.5) % 360, value, saturation)
    return rgb + (turned - rgb) * weight[:, None]


def _hue_value_saturation(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    red, green, blue = rgb.unbind(1)
    value = rgb.amax(1)
    chroma = value - rgb.amin(1)
    divisor = chroma.clamp(min=1e-5)
    from_blue = (red - green) / divisor + 4
    from_green = torch.where(value == green, (blue - red) / divisor + 2, from_blue)
    sextant = torch.where(value == red, ((green - blue) / divisor) % 6, from_green)
    return sextant * 60, value, chroma / value.clamp(min=1e-5)


def _rgb(hue: Tensor, value: Tensor, saturation: Tensor) -> Tensor:
    def channel(offset: int) -> Tensor:
        place = (offset + hue / 60) % 6
        return value - value * saturation * torch.minimum(place, 4 - place).clamp(0, 1)

    return torch.stack([channel(5), channel(3), channel(1)], 1)
