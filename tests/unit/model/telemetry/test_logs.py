"""Logs: one JSON line an event for machines, readable lines for people. In a process of its own,
since logging is configured for a whole process."""

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import logging, sys
from model.telemetry.logs import configure_logs, get_logger
level, style = sys.argv[1:]
configure_logs(level, style)
log = get_logger("test")
log.debug("quiet", detail=1)
log.info("drawn", id="a", seconds=0.5)
logging.getLogger("some.library").warning("%s is old", "it")
logging.getLogger("httpx").info("GET /")
try:
    1 / 0
except ZeroDivisionError as error:
    log.error("broken", exc_info=error)
"""


def logged(level: str, style: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level, style], capture_output=True, text=True, check=True
    )
    assert done.stdout == "", "standard output is for what a command prints"
    return done.stderr


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("style", ["json", "auto"])
def test_every_line_is_one_json_event(style: str) -> None:
    """``auto`` means json here: nobody watches a pipe."""
    drawn, library, broken = events(logged("info", style))
    assert drawn["event"] == "drawn"
    assert (drawn["id"], drawn["seconds"], drawn["level"]) == ("a", 0.5, "info")
    assert drawn["timestamp"].endswith("Z")
    assert (library["event"], library["level"]) == ("it is old", "warning")
    assert "ZeroDivisionError" in broken["exception"]
    assert "Traceback" in broken["exception"]


@pytest.mark.parametrize(
    ("level", "names"),
    [
        ("debug", ["quiet", "drawn", "it is old", "broken"]),
        ("info", ["drawn", "it is old", "broken"]),
        ("warning", ["it is old", "broken"]),
        ("error", ["broken"]),
    ],
)
def test_the_level_is_the_least_severity(level: str, names: list[str]) -> None:
    assert [each["event"] for each in events(logged(level, "json"))] == names


def test_the_console_has_readable_lines_with_fields() -> None:
    text = logged("info", "console")
    (line,) = [each for each in text.splitlines() if "drawn" in each]
    assert "id=a" in line
    assert "seconds=0.5" in line
    assert "\x1b" not in text, "no colours where no terminal is"
    assert "ZeroDivisionError" in text
