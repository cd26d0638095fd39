"""What a scenario found: rows of samples, goals, notes; and its JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .hardware import Hardware
from .samples import BARE, DECIMALS, Sample


@dataclass(frozen=True, slots=True)
class Goal:
    """Every goal is a ceiling: it is met when ``measured`` is at most ``limit``."""

    what: str
    measured: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        return self.measured <= self.limit

    def __str__(self) -> str:
        places = DECIMALS[self.unit]
        unit = "" if self.unit in BARE else f" {self.unit}"
        verdict = "met" if self.met else "MISSED"
        measured = f"{self.measured:.{places}f}{unit}"
        return f"{verdict}: {self.what} {measured} (goal <= {self.limit:.3g}{unit})"

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "measured": self.measured,
            "limit": self.limit,
            "unit": self.unit,
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured, by column."""

    subject: str
    samples: Mapping[str, Sample]


@dataclass(frozen=True, slots=True)
class Findings:
    """What one run of a scenario hands back. ``repetitions`` says what was repeated how often."""

    rows: tuple[Row, ...]
    goals: tuple[Goal, ...]
    repetitions: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Findings, with what a reader needs to judge them. ``load_before`` is the
    machine's load average over one minute, ``others`` the cores that other processes kept busy
    meanwhile, where that is known.
    """

    scenario: str
    question: str
    started_at: str
    quick: bool
    load_before: float
    others: float | None
    findings: Findings

    def as_json(self) -> dict[str, Any]:
        found = self.findings
        return {
            "scenario": self.scenario,
            "question": self.question,
            "started_at": self.started_at,
            "quick": self.quick,
            "load_before": self.load_before,
            "others": self.others,
            "repetitions": found.repetitions,
            "rows": [
                {
                    "subject": row.subject,
                    "samples": {name: sample.as_json() for name, sample in row.samples.items()},
                }
                for row in found.rows
            ],
            "goals": [goal.as_json() for goal in found.goals],
            "notes": list(found.notes),
        }


def as_json(hardware: Hardware, reports: list[Report]) -> dict[str, Any]:
    """The content of a result file: one machine, one or more scenarios."""
    return {"hardware": hardware.as_json(), "reports": [each.as_json() for each in reports]}
