"""What a terminal can: a real one, whose other end answers as terminals do."""

import subprocess
import sys

import pytest

from model.terminal.means import QUESTION
from tests.integration.support.console import KITTY, PLAIN, ROOT, SILENT, SIXEL, at_terminal

PROGRAM = "import os; from model.terminal.means import find_means; print(find_means(os.environ))"
ITERM = {"TERM_PROGRAM": "iTerm.app"}
TRUE = {"COLORTERM": "truecolor"}


@pytest.mark.parametrize(
    ("answer", "environment", "means"),
    [
        (KITTY, {}, "kitty"),
        (KITTY, ITERM, "kitty"),
        (SIXEL, {}, "sixel"),
        (SIXEL, TRUE, "sixel"),
        (PLAIN, ITERM, "iterm"),
        (PLAIN, {"LC_TERMINAL": "iTerm2"}, "iterm"),
        (PLAIN, TRUE, "blocks"),
        (PLAIN, {}, "blocks-256"),
        (SILENT, TRUE, "blocks"),
        (b"\x1b[?64;14c", TRUE, "blocks"),
    ],
)
def test_a_terminal_is_asked(answer: bytes, environment: dict[str, str], means: str) -> None:
    ended = at_terminal(["-c", PROGRAM], answer, environment=environment)
    assert ended.status == 0, ended.errors
    assert ended.output.replace(QUESTION, "").split() == [means]
    assert QUESTION in ended.output
    # Nothing of the answer is shown, or left for whoever reads next.
    assert ended.settings[0] == ended.settings[1]


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_who_wants_nothing_is_not_asked(environment: dict[str, str]) -> None:
    ended = at_terminal(["-c", PROGRAM], KITTY, environment=environment)
    assert ended.output.split() == ["none"]


def test_what_is_no_terminal_is_not_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert done.stdout == "none\n"


def test_who_runs_in_the_background_does_not_ask() -> None:
    """The terminal would stop it for that."""
    program = f"import os; os.setpgid(0, 0); {PROGRAM}"
    wrapped = (
        "import subprocess, sys; "
        f"sys.exit(subprocess.run([sys.executable, '-c', {program!r}]).returncode)"
    )
    ended = at_terminal(["-c", wrapped], KITTY, environment=TRUE)
    assert ended.output.split() == ["blocks"]
