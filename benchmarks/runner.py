"""Run scenarios one after another: measure, show, write."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from .effort import Effort, Tell
from .errors import NotMeasurable
from .hardware import Hardware, load_average, this_machine
from .quiet import Neighbours
from .report import Report, as_json
from .scenarios import SCENARIOS
from .show import show
from .subject import Subject

FOLDER: Final = Path("out/benchmarks")


def run(
    names: list[str],
    subject: Subject,
    effort: Effort,
    *,
    file: Path | None,
    to: Console,
    tell: Tell,
) -> int:
    """Exit status: 0 when everything was measured, whatever the goals say; 1 otherwise.

    ``file`` takes all reports; without it each scenario gets a file of its own.
    """
    hardware = this_machine()
    reports: list[Report] = []
    for name in names:
        try:
            report = _report(name, subject, effort, tell)
        except NotMeasurable as error:
            to.print(f"{name} could not be measured: {error}", style="red", markup=False)
            continue
        reports.append(report)
        show(report, hardware, to)
        if file is None:
            _write(default_file(report), hardware, [report], to)
    if file is not None:
        _write(file, hardware, reports, to)
    return 0 if len(reports) == len(names) else 1


def default_file(report: Report) -> Path:
    """``out/benchmarks/P4-20260102T030405Z.json``."""
    moment = report.started_at.replace("-", "").replace(":", "")
    return FOLDER / f"{report.scenario}-{moment}.json"


def _report(name: str, subject: Subject, effort: Effort, tell: Tell) -> Report:
    scenario = SCENARIOS[name]
    if not (subject.embedded or scenario.any_model):
        raise NotMeasurable("its goal is stated for the embedded model; leave --model out")
    started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    load_before = load_average()
    neighbours = Neighbours()
    findings = scenario.measure(effort, subject, tell)
    return Report(
        scenario=name,
        question=scenario.question,
        started_at=started_at,
        quick=effort.quick,
        load_before=load_before,
        others=neighbours.cores(),
        findings=findings,
    )


def _write(file: Path, hardware: Hardware, reports: list[Report], to: Console) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(as_json(hardware, reports), indent=2) + "\n", encoding="utf-8")
    to.print(f"  written: {file}", style="dim", markup=False)
