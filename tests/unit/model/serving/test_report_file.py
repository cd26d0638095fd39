"""The report file: whole or not at all."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from model.serving.report_file import write_report


def test_the_report_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("an older one")
    assert write_report(path, {"warmup": {"done": 1}})
    assert json.loads(path.read_text()) == {"warmup": {"done": 1}}
    assert list(tmp_path.iterdir()) == [path], "nothing else is left"


def test_a_disk_that_does_not_take_it_is_an_error_in_the_log_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    path.write_text("an older one")

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with capture_logs() as lines:
        assert not write_report(path, {"warmup": {}})
    (line,) = [each for each in lines if each["event"] == "report_not_written"]
    assert "No space left" in line["reason"]
    assert path.read_text() == "an older one", "not half of a new one"
