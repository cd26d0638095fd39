"""W26: what people see of the run: a bar on a terminal, lines otherwise."""

import sys
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from model.contract.warmup import WarmupMode
from model.settings import Settings
from model.warmup.plan import build_plan
from model.warmup.progress import BarProgress, LogProgress, Several, visible_progress
from model.warmup.report import ShapeReport, WarmupReport


@pytest.fixture
def request_of_plan(described: Any, settings: Settings) -> Any:
    return build_plan(described(), settings)[0]


def report(of: int, *shapes: ShapeReport) -> WarmupReport:
    return WarmupReport(WarmupMode.SERVER, "default", of=of, shapes=shapes)


@pytest.mark.parametrize(("terminal", "kind"), [(True, BarProgress), (False, LogProgress)])
def test_w26_the_bar_is_for_terminals(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, kind: type
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert type(visible_progress()) is kind


def test_w26_a_line_has_number_shape_and_seconds(request_of_plan: Any) -> None:
    shape = ShapeReport(request_of_plan.shape, 2, (4.0, 1.0, 1.0), (0, 0, 0), settled=True)
    with capture_logs() as lines:
        LogProgress().shape_done(shape, report(3, shape))
    (line,) = [each for each in lines if each["event"] == "warmup_shape"]
    assert line["number"] == "1/3"
    assert line["shape"] == str(shape.shape)
    assert (line["seconds"], line["passes"]) == (6.0, [4.0, 1.0, 1.0])
    assert (line["first_over_steady"], line["failure"]) == (4.0, None)
    assert line["asked"] is None


def test_w24_a_line_says_which_larger_shape_was_asked_for(request_of_plan: Any) -> None:
    asked = replace(request_of_plan.shape, width=1024)
    shape = ShapeReport(request_of_plan.shape, 2, (1.0, 1.0), (0, 0), settled=True, asked=asked)
    with capture_logs() as lines:
        LogProgress().shape_done(shape, report(1, shape))
    assert [each["asked"] for each in lines] == [str(asked)]


def test_w26_the_bar_moves_and_ends_on_success_and_on_failure(
    request_of_plan: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    good = ShapeReport(request_of_plan.shape, 2, (4.0, 1.0), (0, 0), settled=True)
    for last in (good, replace(good, passes=(), failure="it broke")):
        bar = BarProgress()
        bar.shape_started(request_of_plan, report(1))
        bar.pass_done(request_of_plan, 1, 4.0)
        assert not bar._bar.finished
        bar.shape_done(last, report(1, last))
        assert not bar._bar.live.is_started, "a bar that goes on would garble the log"
    assert "Warming up" in capsys.readouterr().err


def test_several_hear_the_same(request_of_plan: Any) -> None:
    shape = ShapeReport(request_of_plan.shape, 2, (1.0,), (0,))
    with capture_logs() as lines:
        both = Several(LogProgress(), LogProgress())
        both.shape_started(request_of_plan, report(1))
        both.pass_done(request_of_plan, 1, 1.0)
        both.shape_done(shape, report(1, shape))
    names = [each["event"] for each in lines]
    assert names.count("warmup_shape") == 2
