"""Repeated measurements of one thing: the median, with the range beside it.

No mean and no standard deviation: on a shared machine the disturbances all lie on one side.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

# Calls are counted over several services, and told of one.
DECIMALS: Final = {"ms": 1, "s": 2, "ratio": 3, "count": 0, "calls": 1, "MiB": 1}
# Numbers that stand for themselves.
BARE: Final = ("ratio", "count")
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """``values`` in the order they were measured; ``unit`` is a key of ``DECIMALS``."""

    values: tuple[float, ...]
    unit: str

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a sample needs at least one value")
        if self.unit not in DECIMALS:
            raise ValueError(f"unit {self.unit!r} is none of {', '.join(DECIMALS)}")

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def percentile(self, percent: int) -> "Sample":
        """The least value that so many percent do not exceed: one that was measured."""
        rank = -(-percent * len(self.values) // 100)
        return Sample((sorted(self.values)[rank - 1],), self.unit)

    def __str__(self) -> str:
        """``212.4 (208.9..230.1) ms``; a single value has no range, a ratio or count no unit."""
        places = DECIMALS[self.unit]
        text = f"{self.median:.{places}f}"
        if len(self.values) > 1:
            text += f" ({min(self.values):.{places}f}..{max(self.values):.{places}f})"
        return text if self.unit in BARE else f"{text} {self.unit}"

    def as_json(self) -> dict[str, object]:
        return {
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "count": len(self.values),
            "values": list(self.values),
        }


def milliseconds(seconds: Iterable[float]) -> Sample:
    return Sample(tuple(each * 1000 for each in seconds), "ms")


def of_seconds(seconds: Iterable[float]) -> Sample:
    return Sample(tuple(seconds), "s")


def counts(numbers: Iterable[float]) -> Sample:
    return Sample(tuple(numbers), "count")


def calls(numbers: Iterable[float]) -> Sample:
    return Sample(tuple(numbers), "calls")


def mebibytes(sizes: Iterable[int]) -> Sample:
    """Of bytes."""
    return Sample(tuple(each / MIB for each in sizes), "MiB")


def ratios(over: Iterable[float], under: Iterable[float]) -> Sample:
    """Pairwise: what was measured together is compared together."""
    return Sample(tuple(a / b for a, b in zip(over, under, strict=True)), "ratio")


def differences(minuend: Sequence[float], subtrahend: Sequence[float]) -> Sample:
    """Pairwise, of seconds, in milliseconds."""
    return milliseconds(a - b for a, b in zip(minuend, subtrahend, strict=True))
