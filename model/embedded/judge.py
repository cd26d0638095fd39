"""Tell what a picture shows by comparing it with pictures of every object: no other model is
needed.

Object and background are judged apart: the references are laid over the border colour of the
picture judged.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from typing import Final

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from PIL import Image

from .catalogue import catalogue
from .colours import describe_colour, hue_and_chroma, hue_distance
from .palette import (
    BACKGROUND_NAMES,
    BACKGROUNDS,
    OBJECT_HUES,
    PICTURE_SIDE,
    SIZES,
    STYLES,
)
from .questions import Question
from .references import DETAIL_EVERY, DETAILS, JUDGED_SIDE, NAMES, Atlas, load_cells
from .render import turn_hue

Pixels = NDArray[np.float64]

BORDER: Final = 2
# A pixel belongs to the object when a channel is this far from the border's colour.
CLEARLY_DIFFERENT: Final = 0.12
# An object asked to be small may be at most this wide; as it is, it would take 0.86.
SMALL_AT_MOST: Final = SIZES["small"] * 1.15
COARSE_SIDE: Final = 16
SHORTLIST: Final = 96
# Training moves objects by up to a pixel or two, so the comparison allows for it.
NAME_SHIFTS: Final = tuple(product((-1, 0, 1), repeat=2))
DETAIL_SHIFTS: Final = tuple(product((-2, -1, 0, 1, 2), repeat=2))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one picture. ``hue`` and ``small`` hold only for questions that ask for
    them.
    """

    seen_number: int
    name: bool
    style: bool
    background: bool
    hue: bool
    small: bool


@dataclass(frozen=True, slots=True)
class Detail:
    """Gradient energy relative to the reference's, and how well the edges coincide (-1 to 1)."""

    sharpness: float
    edges: float


def pixels_of(picture: Image.Image) -> Pixels:
    """(height, width, 3) in 0 to 1."""
    return np.asarray(picture.convert("RGB"), dtype=np.float64) / 255


def border_colour(pixels: Pixels) -> Pixels:
    ring = np.ones(pixels.shape[:2], dtype=bool)
    ring[BORDER:-BORDER, BORDER:-BORDER] = False
    return np.asarray(np.median(pixels[ring], axis=0))


def nearest_background(colour: Pixels) -> int:
    palette = np.array([BACKGROUNDS[name] for name in BACKGROUND_NAMES]) / 255
    return int(((palette - colour) ** 2).sum(1).argmin())


def judge(picture: Image.Image, question: Question) -> Verdict:
    pixels = pixels_of(picture)
    colour = border_colour(pixels)
    number, style = _nearest(pixels, colour, question)
    return Verdict(
        seen_number=number,
        name=number == question.number,
        style=style == question.style,
        background=nearest_background(colour) == question.background,
        hue=_main_hue(pixels, colour) == question.hue,
        small=number == question.number and _extent(pixels, colour) <= SMALL_AT_MOST,
    )


def _foreground(pixels: Pixels, colour: Pixels) -> NDArray[np.bool_]:
    return np.asarray(np.abs(pixels - colour).max(-1) > CLEARLY_DIFFERENT)


def _extent(pixels: Pixels, colour: Pixels) -> float:
    """The longer side of what stands out, as a share of the picture; stray pixels do not count."""
    foreground = _foreground(pixels, colour)
    spans = [np.flatnonzero(foreground.sum(axis) > 1) for axis in (0, 1)]
    longest = max(int(np.ptp(span)) + 1 if len(span) else 0 for span in spans)
    return longest / len(pixels)


def _main_hue(pixels: Pixels, colour: Pixels) -> str:
    """The colour word that most of the object's chroma lies nearest to."""
    hue, chroma = hue_and_chroma(pixels[_foreground(pixels, colour)])
    names, centres = list(OBJECT_HUES), np.array(list(OBJECT_HUES.values()))
    nearest = hue_distance(hue[:, None], centres[None]).argmin(-1)
    mass = np.bincount(nearest, weights=chroma, minlength=len(names))
    return names[int(mass.argmax())]


def _nearest(pixels: Pixels, colour: Pixels, question: Question) -> tuple[int, int]:
    """The object and style whose reference is nearest, at half the picture's side."""
    drawn = torch.from_numpy(pixels).permute(2, 0, 1).float()
    likely = _shortlist(drawn, colour, question)
    half = _reduced(drawn, JUDGED_SIDE)
    moved = torch.stack([half.roll(shift, (1, 2)) for shift in NAME_SHIFTS])
    laid = _laid(_references(question.hue, question.small, JUDGED_SIDE)[likely], colour)
    distances = torch.cdist(laid.flatten(1), moved.flatten(1)).amin(1)
    style, number = divmod(int(likely[distances.argmin()]), len(catalogue().objects))
    return number, style


def _shortlist(drawn: torch.Tensor, colour: Pixels, question: Question) -> torch.Tensor:
    """The references that are nearest when both are very small, to save comparing with all at full
    size.
    """
    laid = _laid(_references(question.hue, question.small, COARSE_SIDE), colour)
    distances = (laid - _reduced(drawn, COARSE_SIDE)).square().sum((1, 2, 3))
    return distances.topk(SHORTLIST, largest=False).indices


def _reduced(drawn: torch.Tensor, side: int) -> torch.Tensor:
    return functional.avg_pool2d(drawn[None], PICTURE_SIDE // side)[0]


def _laid(references: torch.Tensor, colour: Pixels) -> torch.Tensor:
    """References over a plain background: (n, 3, side, side)."""
    return (
        references[:, :3]
        + (1 - references[:, 3:]) * torch.from_numpy(colour).float()[:, None, None]
    )


# Every object in one colour is 140 MB; questions come sorted by colour.
@lru_cache(maxsize=4)
def _references(hue: str, small: bool, side: int) -> torch.Tensor:
    """Every object in a picture of the given side: (styles * objects, 4, side, side), colour
    premultiplied.
    """
    if side != JUDGED_SIDE:
        return functional.avg_pool2d(_references(hue, small, JUDGED_SIDE), JUDGED_SIDE // side)
    turned = torch.cat([_turned(style, hue) if hue else _cells(NAMES, style) for style in STYLES])
    if small:
        turned = functional.interpolate(
            turned, size=round(JUDGED_SIDE * SIZES["small"]), mode="area"
        )
    return _centred(turned, JUDGED_SIDE)


def _cells(atlas: Atlas, style: str) -> torch.Tensor:
    """Cells as (n, 4, cell, cell) in 0 to 1, colour premultiplied."""
    cells = (
        torch.from_numpy(load_cells(atlas, style, len(catalogue().objects)))
        .permute(0, 3, 1, 2)
        .float()
        / 255
    )
    return torch.cat([cells[:, :3] * cells[:, 3:], cells[:, 3:]], 1)


def _turned(style: str, hue: str) -> torch.Tensor:
    """Each object's main hue turned to the one asked for, as the renderer does."""
    cells = _cells(NAMES, style)
    colour, alpha = _plain_colour(cells), cells[:, 3:]
    target = torch.full((len(cells),), OBJECT_HUES[hue])
    return torch.cat([turn_hue(colour, _main_hues(style), target) * alpha, alpha], 1)


def _plain_colour(cells: torch.Tensor) -> torch.Tensor:
    """Colour that is no longer premultiplied."""
    return (cells[:, :3] / cells[:, 3:].clamp(min=1e-3)).clamp(0, 1)


@cache
def _main_hues(style: str) -> torch.Tensor:
    cells = _cells(NAMES, style)
    shown = torch.cat([_plain_colour(cells), cells[:, 3:]], 1)[:, :, ::2, ::2]
    pictures = shown.mul(255).byte().permute(0, 2, 3, 1).numpy()
    return torch.tensor([describe_colour(each).hue for each in pictures])


def _centred(cells: torch.Tensor, side: int) -> torch.Tensor:
    before = (side - cells.shape[-1]) // 2
    after = side - cells.shape[-1] - before
    return functional.pad(cells, (before, after, before, after))


def judge_detail(picture: Image.Image, question: Question) -> Detail:
    """Compare a picture at its full size with its reference on the asked background."""
    reference = _detailed_reference(question)
    drawn = pixels_of(picture)
    overlap = _edge_map(reference)
    edges = _edge_map(drawn)
    coincide = max(_correlation(np.roll(edges, shift, (0, 1)), overlap) for shift in DETAIL_SHIFTS)
    return Detail(float((edges**2).sum() / (overlap**2).sum()), coincide)


def _detailed_reference(question: Question) -> Pixels:
    cells = _cells(DETAILS, STYLES[question.style])
    placed = (
        _centred(cells[question.number // DETAIL_EVERY][None], PICTURE_SIDE)[0]
        .permute(1, 2, 0)
        .numpy()
    )
    background = np.array(BACKGROUNDS[BACKGROUND_NAMES[question.background]]) / 255
    return np.asarray(placed[..., :3] + (1 - placed[..., 3:]) * background, dtype=np.float64)


def _edge_map(pixels: Pixels) -> Pixels:
    """Length of the gradient of all channels, from neighbouring pixels."""
    down = np.diff(pixels, axis=0, append=pixels[-1:])
    across = np.diff(pixels, axis=1, append=pixels[:, -1:])
    return np.asarray(np.sqrt((down**2 + across**2).sum(-1)))


def _correlation(first: Pixels, second: Pixels) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
