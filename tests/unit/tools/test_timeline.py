"""The picture of a start: a bar for each part of it, to scale, and valid XML."""

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tools.timeline import LABELS, bars, draw, main

SHAPE = {
    "shape": "text-to-image 64x64 batch 1",
    "engine": 0,
    "passes": [2.0, 1.0, 1.0],
    "real_passes": [0.5],
}
REPORT: dict[str, Any] = {
    "name": "fox",
    "state": "ready",
    "pipeline": {"class": "Fox<Pipeline>", "device": "cpu"},
    "timeline": {"live": 1.0, "loaded": 5.0, "warm": 14.0, "ready": 14.0},
    "warmup": {"engines": 1, "shapes": [SHAPE, {**SHAPE, "shape": "text-to-image 128x64 batch 1"}]},
}


def test_every_part_of_the_start_has_its_bar_in_its_place() -> None:
    live, load, first, second = bars(REPORT)
    assert live.parts == ((0.0, 1.0, "load"),)
    assert load.parts == ((1.0, 5.0, "load"),)
    assert [(start, end) for start, end, _ in first.parts] == [(5, 7), (7, 8), (8, 9), (9, 9.5)]
    assert [colour for _, _, colour in first.parts] == ["pass", "steady", "steady", "steady"]
    assert second.parts[0][0] == 9.5, "one shape follows the other"


def test_w21_engines_warm_up_side_by_side() -> None:
    shapes = [SHAPE, {**SHAPE, "engine": 1}]
    _, _, first, second = bars({**REPORT, "warmup": {"engines": 2, "shapes": shapes}})
    assert first.parts == second.parts
    assert (first.label, second.label) == (f"0: {SHAPE['shape']}", f"1: {SHAPE['shape']}")


def test_the_picture_is_xml_whose_bars_end_before_ready() -> None:
    root = ElementTree.fromstring(draw(REPORT))  # noqa: S314
    names = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "text-to-image 128x64 batch 1" in names
    assert "Ready after 14.0 s: Fox<Pipeline> on cpu" in names
    rectangles = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    titled = [each for each in rectangles if len(each)]
    assert len(titled) == 2 + 2 * 4
    ready = max(float(each.get("x1", 0)) for each in root.iter("{http://www.w3.org/2000/svg}line"))
    assert all(float(each.get("x", 0)) >= LABELS for each in titled)
    assert all(float(each.get("x", 0)) + float(each.get("width", 0)) <= ready for each in titled)


def test_a_start_that_failed_has_no_such_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report, picture = tmp_path / "report.json", tmp_path / "picture.svg"
    report.write_text(json.dumps({**REPORT, "state": "failed"}))
    monkeypatch.setattr(sys, "argv", ["timeline", str(report), str(picture)])
    with pytest.raises(SystemExit):
        main()
    assert "came to failed" in capsys.readouterr().err
    assert not picture.exists()
    report.write_text(json.dumps(REPORT))
    assert main() == 0
    assert picture.read_text().startswith("<svg")
