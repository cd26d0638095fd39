"""How often a scenario repeats things, and how it tells that it lives."""

from collections.abc import Callable
from dataclasses import dataclass

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """``starts``: fresh servers for each thing that depends on one. ``pictures``: steady ones after
    a start. ``rounds``: turns of an interleaved comparison.
    """

    starts: int
    pictures: int
    rounds: int
    quick: bool = False


FULL = Effort(starts=3, pictures=20, rounds=40)
# Shows that everything runs; its numbers are for nobody.
QUICK = Effort(starts=1, pictures=4, rounds=4, quick=True)
