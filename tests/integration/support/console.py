"""A program at a terminal of its own, whose other end is the test: it reads what the program
writes, and answers what the program asks.
"""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import model
from model.terminal.means import QUESTION

ROOT = Path(model.__file__).parents[1]
SECONDS = 180.0
# How terminals answer. The second part says what they are: 4 is sixel.
KITTY = b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c"
SIXEL = b"\x1b[?62;4;22c"
PLAIN = b"\x1b[?62;22c"
SILENT = b""


@dataclass(frozen=True)
class Ended:
    """``settings``: the terminal's, before and after."""

    status: int
    output: str
    errors: str
    settings: tuple[Any, Any]


def at_terminal(
    arguments: Sequence[str],
    answer: bytes,
    *,
    folder: Path | None = None,
    columns: int = 80,
    rows: int = 24,
    environment: Mapping[str, str] | None = None,
    errors_too: bool = False,
) -> Ended:
    """Run ``python`` with ``arguments``, the leader of a session whose terminal answers every
    question with ``answer``. ``errors_too``: the standard error is the terminal as well.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder or ROOT,
        env=_environment(environment or {}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs if errors_too else subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    try:
        output = _played(ours, process, answer)
        errors = process.stderr.read().decode() if process.stderr else ""
        settings = before, termios.tcgetattr(theirs)
        return Ended(process.wait(SECONDS), output.decode(), errors, settings)
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()
        os.close(ours)
        os.close(theirs)


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the terminal that the tests run in."""
    theirs = ("KILN_", "TERM", "COLORTERM", "LC_TERMINAL", "NO_COLOR", "COLUMNS", "LINES")
    clean = {name: text for name, text in os.environ.items() if not name.startswith(theirs)}
    return {**clean, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **given}


def _played(ours: int, process: subprocess.Popen[bytes], answer: bytes) -> bytes:
    """Until it has ended and all that it wrote is read."""
    output, asked = b"", 0
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if select.select([ours], [], [], 0.02)[0]:
            output += os.read(ours, 65536)
            questions = output.count(QUESTION.encode())
            os.write(ours, answer * (questions - asked))
            asked = questions
        elif ended:
            return output
    raise AssertionError(f"still running after {SECONDS:g} s: {output[-2000:]!r}")
