"""What can be heard of a request while it is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preview:
    """What will come of a request, as its denoiser sees it after ``step`` of ``of`` steps.
    ``index`` counts the previews of the request from 0. ``pixels`` as in ``Generation``.
    """

    index: int
    step: int
    of: int
    pixels: Any


def _nobody(*_: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Watch:
    """``on_step`` gets the number of the step that is done, from 1, and of how many."""

    on_step: Callable[[int, int], object] = _nobody
    on_preview: Callable[[Preview], object] = _nobody


def preview_steps(previews: int, of: int) -> tuple[int, ...]:
    """The steps, counted from 1, after which ``previews`` are drawn: evenly between the first one
    and the last but one, which is as many as there can be.
    """
    shown = min(previews, of - 1)
    return tuple(number * of // (shown + 1) for number in range(1, shown + 1))
