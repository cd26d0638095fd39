"""What a run shows and writes."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import runner
from benchmarks.effort import QUICK, Effort, Tell
from benchmarks.errors import NotMeasurable
from benchmarks.hardware import Hardware
from benchmarks.report import Findings, Goal, Report, Row, as_json
from benchmarks.samples import Sample
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.show import show, table_of
from benchmarks.subject import Subject

HARDWARE = Hardware("a CPU [x]", 2, 7.8, (), "Linux x86_64", {"kiln": "0.1.0", "torch": "2.11"})
FINDINGS = Findings(
    rows=(
        Row("raw", {"a picture": Sample((100.0, 104.0), "ms")}),
        Row("served [v2]", {"a picture": Sample((106.0,), "ms"), "added": Sample((5.0,), "ms")}),
    ),
    goals=(Goal("added by v2", 5.0, 8.0, "ms"), Goal("first / steady", 1.06, 1.05, "ratio")),
    repetitions="2 rounds",
    notes=("the pixels are equal",),
)
REPORT = Report("P4", "What is added?", "2026-01-02T03:04:05Z", False, 0.25, 0.02, FINDINGS)


def printed(report: Report) -> str:
    to = console()
    show(report, HARDWARE, to)
    return to.export_text()


def silent(_: str) -> None:
    pass


def console() -> Console:
    """Keeps what is printed."""
    return Console(width=160, record=True, file=io.StringIO())


def test_a_goal_is_met_up_to_its_limit() -> None:
    assert Goal("x", 8.0, 8.0, "ms").met
    assert not Goal("x", 8.001, 8.0, "ms").met


def test_a_goal_reads_as_met_or_missed() -> None:
    met, missed = map(str, FINDINGS.goals)
    assert met == "met: added by v2 5.0 ms (goal <= 8 ms)"
    assert missed == "MISSED: first / steady 1.060 (goal <= 1.05)"


def test_a_table_has_a_column_for_whatever_was_measured_of_any_row() -> None:
    table = table_of(FINDINGS.rows)
    assert [str(column.header) for column in table.columns] == ["", "a picture", "added"]
    assert table.row_count == 2


def test_a_report_shows_numbers_goals_hardware_and_load() -> None:
    text = printed(REPORT)
    for expected in (
        "P4: What is added?",
        "102.0 (100.0..104.0) ms",
        "served [v2]",
        "a CPU [x], 2 cores, 8 GiB, no GPU",
        "torch 2.11",
        "load average 0.25 before",
        "2 rounds",
        "MISSED: first / steady",
        "the pixels are equal",
    ):
        assert expected in text
    assert "QUICK" not in text
    assert "DISTURBED" not in text


def test_a_quick_report_says_that_its_numbers_are_for_nobody() -> None:
    quick = Report("P4", "What?", "2026-01-02T03:04:05Z", True, 0.0, 0.0, FINDINGS)
    assert "QUICK" in printed(quick)


@pytest.mark.parametrize(("others", "told"), [(0.5, True), (0.2, False), (None, False)])
def test_a_disturbed_run_says_so(others: float | None, told: bool) -> None:
    report = Report("P4", "What?", "2026-01-02T03:04:05Z", False, 0.0, others, FINDINGS)
    assert ("DISTURBED" in printed(report)) is told


def test_the_json_holds_everything_that_was_shown() -> None:
    found = json.loads(json.dumps(as_json(HARDWARE, [REPORT])))
    assert found["hardware"]["cores"] == 2
    assert found["hardware"]["versions"]["torch"] == "2.11"
    (report,) = found["reports"]
    assert report["scenario"] == "P4"
    assert (report["load_before"], report["others"]) == (0.25, 0.02)
    assert report["rows"][0]["samples"]["a picture"]["values"] == [100.0, 104.0]
    assert [goal["met"] for goal in report["goals"]] == [True, False]
    assert report["notes"] == ["the pixels are equal"]


def test_the_default_file_is_named_by_scenario_and_time() -> None:
    expected = Path("out/benchmarks/P4-20260102T030405Z.json")
    assert runner.default_file(REPORT) == expected


def test_every_scenario_states_question_partner_and_goal() -> None:
    for name, scenario in SCENARIOS.items():
        assert scenario.question.endswith("?"), name
        assert re.search(r"\nPartners?: ", scenario.text), name
        assert re.search(r"\nGoals?: ", scenario.text), name


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two scenarios that start no server, and a folder to write into."""

    def good(effort: Effort, subject: Subject, tell: Tell) -> Findings:
        tell("measuring")
        assert (effort, subject) == (QUICK, Subject())
        return FINDINGS

    def bad(_: Effort, __: Subject, ___: Tell) -> Findings:
        raise NotMeasurable("the server ended with status 4")

    monkeypatch.setattr(runner, "SCENARIOS", {"G": Scenario("Good?", good), "B": Scenario("", bad)})
    monkeypatch.setattr(runner, "FOLDER", tmp_path / "reports")
    return tmp_path


def test_a_run_succeeds_though_a_goal_was_missed(made_up: Path) -> None:
    assert runner.run(["G"], Subject(), QUICK, file=None, to=console(), tell=silent) == 0
    (written,) = (made_up / "reports").iterdir()
    assert json.loads(written.read_text())["reports"][0]["question"] == "Good?"


def test_one_file_takes_all_reports(made_up: Path) -> None:
    file = made_up / "new" / "all.json"
    assert runner.run(["G", "G"], Subject(), QUICK, file=file, to=console(), tell=silent) == 0
    assert len(json.loads(file.read_text())["reports"]) == 2
    assert not (made_up / "reports").exists()


def test_what_cannot_be_measured_fails_the_run_and_not_the_rest(made_up: Path) -> None:
    to = console()
    file = made_up / "all.json"
    assert runner.run(["B", "G"], Subject(), QUICK, file=file, to=to, tell=silent) == 1
    assert "B could not be measured: the server ended with status 4" in to.export_text()
    assert [each["scenario"] for each in json.loads(file.read_text())["reports"]] == ["G"]
