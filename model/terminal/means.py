"""What a terminal can show pictures by. It is asked, since its name says little: over SSH, and
inside of another program, the name is somebody else's.
"""

import contextlib
import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

# A question that only those answer who know kitty's protocol, and one that all answer: who has
# answered the second will not answer the first any more.
# https://sw.kovidgoyal.net/kitty/graphics-protocol/#querying-support-and-available-transmission-mediums
QUESTION: Final = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
KITTY_ANSWER: Final = re.compile(rb"\x1b_Gi=31;OK\x1b\\")
ATTRIBUTES: Final = re.compile(rb"\x1b\[\?([0-9;]*)c")
SIXEL_ATTRIBUTE: Final = b"4"
# Terminals answer in milliseconds; a slow line takes longer.
PATIENCE_SECONDS: Final = 1.0
# Those that show iTerm's inline files, and do not answer to kitty's question.
ITERM: Final = ("iTerm.app", "iTerm2", "WezTerm", "vscode")
TRUE_COLOUR: Final = ("truecolor", "24bit")


class Means(StrEnum):
    """``BLOCKS``: two pixels in each character, in 24-bit colours; ``BLOCKS_256``: in 256."""

    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    BLOCKS = "blocks"
    BLOCKS_256 = "blocks-256"
    NONE = "none"


def find_means(environment: Mapping[str, str]) -> Means:
    """The best that the terminal of the standard output can do; ``NONE`` where that is none, or
    shall have no colours (https://no-color.org).
    """
    dumb = environment.get("TERM", "dumb") == "dumb"
    if not sys.stdout.isatty() or dumb or environment.get("NO_COLOR"):
        return Means.NONE
    answer = _asked()
    if KITTY_ANSWER.search(answer):
        return Means.KITTY
    if {environment.get("TERM_PROGRAM"), environment.get("LC_TERMINAL")} & {*ITERM}:
        return Means.ITERM
    attributes = ATTRIBUTES.search(answer)
    if attributes and SIXEL_ATTRIBUTE in attributes[1].split(b";"):
        return Means.SIXEL
    true_colour = environment.get("COLORTERM") in TRUE_COLOUR
    return Means.BLOCKS if true_colour else Means.BLOCKS_256


def _asked() -> bytes:
    """What the terminal answers; nothing where it cannot be asked."""
    try:
        file = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        # Who runs in the background would be stopped for asking.
        if os.tcgetpgrp(file) != os.getpgrp():
            return b""
        with _unbuffered(file):
            os.write(file, QUESTION.encode("ascii"))
            return _read(file)
    except (OSError, termios.error):
        return b""
    finally:
        os.close(file)


@contextlib.contextmanager
def _unbuffered(file: int) -> Iterator[None]:
    """Answers come at once, and are not shown."""
    before = termios.tcgetattr(file)
    tty.setcbreak(file, termios.TCSAFLUSH)
    try:
        yield
    finally:
        termios.tcsetattr(file, termios.TCSAFLUSH, before)


def _read(file: int) -> bytes:
    found = b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ATTRIBUTES.search(found):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([file], [], [], left)[0]:
            break
        found += os.read(file, 1024)
    return found
