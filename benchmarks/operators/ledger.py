"""The table of a comparison: a row for each question, a column for each operator, and their
ratio.
"""

from typing import Final

from ..report import Row
from ..samples import Sample, ratios

RATIO: Final = "ratio"


class Ledger:
    """``names``: of the two that are compared, ours first."""

    def __init__(self, names: tuple[str, str]) -> None:
        self._names = names
        self._found: dict[str, dict[str, Sample]] = {}

    def note(self, question: str, name: str, sample: Sample) -> None:
        self._found.setdefault(question, {})[name] = sample

    def sample(self, question: str, name: str) -> Sample:
        return self._found[question][name]

    def ratio(self, question: str) -> float | None:
        """Of the medians, ours over theirs; None where that says nothing."""
        ours, theirs = (self._found[question].get(each) for each in self._names)
        if ours is None or theirs is None or not theirs.median:
            return None
        return ours.median / theirs.median

    def rows(self) -> tuple[Row, ...]:
        return tuple(Row(question, self._samples(question)) for question in self._found)

    def _samples(self, question: str) -> dict[str, Sample]:
        found = {name: self._found[question][name] for name in self._names
                 if name in self._found[question]}  # fmt: skip
        ratio = self.ratio(question)
        return found if ratio is None else {**found, RATIO: ratios([ratio], [1.0])}
