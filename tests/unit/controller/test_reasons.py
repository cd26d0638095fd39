"""Every reason is known, and explained on the page for people."""

import re
from pathlib import Path

import controller
from controller import cluster, errors
from controller.desired.limits import NameTooLong
from controller.reasons import EXIT_REASONS, REASONS, TABLE, Finding, worst
from model import errors as server

ROOT = Path(controller.__file__).parents[1]
SAID = re.compile(r'Finding\(\s*"(\w+)"')


def test_c05_no_reason_is_said_that_nobody_explains() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "controller").rglob("*.py"))
    said = set(SAID.findall(text))
    assert "Suspended" in said
    assert said <= set(REASONS)


def test_c05_every_error_that_becomes_a_condition_has_its_reason() -> None:
    for error in (cluster.Conflict, cluster.Forbidden, cluster.Refused, NameTooLong):
        assert error.reason in REASONS
    assert errors.InvalidService.reason in REASONS


def test_c14_exit_statuses_are_those_of_the_server() -> None:
    for status, name in EXIT_REASONS.items():
        assert getattr(server, name).exit_code == status
        assert name in REASONS


def test_c05_of_several_findings_the_worst_is_told() -> None:
    several = (Finding("Loading", ""), Finding("ImagePullFailed", ""), Finding("Pulling", ""))
    assert worst(several) == Finding("ImagePullFailed", "")
    assert worst(()) is None


def test_c05_what_waits_for_somebody_comes_after_all_that_does_not() -> None:
    stalled = [each.stalled for each in TABLE]
    assert stalled == sorted(stalled)


def test_c05_every_reason_says_what_to_do() -> None:
    for each in TABLE:
        assert each.meaning.endswith(".")
        assert each.mend.endswith(".")
