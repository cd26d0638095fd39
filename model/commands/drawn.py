"""What comes of a wish: files, the picture in the terminal, and what to do next."""

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import InvalidSettings
from .wishes import Wish, file_name

MEANS: Final = ("auto", "kitty", "iterm", "sixel", "blocks", "blocks-256", "none")
VIDEO: Final = "mp4"
# Of the terminal: room for what is typed next.
ROWS_LEFT: Final = 6


@dataclass(frozen=True, slots=True)
class Drawn:
    """``facts``: as the v2 protocol's answers have them."""

    files: list[bytes]
    output_format: str
    facts: dict[str, Any]

    @property
    def seeds(self) -> list[str]:
        return str(self.facts["seeds"]).split(",")


def add_show(parser: argparse.ArgumentParser) -> None:
    """Add the flag."""
    parser.add_argument(
        "--show",
        choices=MEANS,
        default="auto",
        help="how the picture is shown in the terminal. auto: the best that it answers to; nothing "
        "where the output is no terminal.",
    )


def save(drawn: Drawn, wish: Wish) -> list[Path]:
    """Write the files; their names.

    Raises:
        InvalidSettings: there is no room for them, or no right.
    """
    first = wish.output or file_name(wish.prompt, drawn.output_format)
    paths = [first]
    if len(drawn.files) > 1:
        numbers = range(1, len(drawn.files) + 1)
        paths = [first.with_stem(f"{first.stem}-{number}") for number in numbers]
    for path, file in zip(paths, drawn.files, strict=True):
        try:
            path.write_bytes(file)
        except OSError as error:
            raise InvalidSettings(
                f"--output: {str(path)!r} cannot be written: {error.strerror}"
            ) from error
    return paths


def show(drawn: Drawn, choice: str) -> None:
    """Draw the pictures into the terminal, where it can."""
    if drawn.output_format == VIDEO:
        return
    from ..terminal.means import Means, find_means
    from ..terminal.pictures import written

    means = find_means(os.environ) if choice == "auto" else Means(choice)
    columns, rows = shutil.get_terminal_size()
    for file in drawn.files:
        sys.stdout.write(written(file, means, columns, max(1, rows - ROWS_LEFT)))
    sys.stdout.flush()


def tell(drawn: Drawn, paths: Sequence[Path], seconds: float) -> None:
    """One line a file."""
    facts = drawn.facts
    size = f"{facts['width']}x{facts['height']}"
    frames = f", {facts['num_frames']} frames" if "num_frames" in facts else ""
    for place, seed in enumerate(drawn.seeds):
        name = f"{paths[place]}  " if paths else ""
        print(f"{name}{size}{frames}, {facts['num_inference_steps']} steps, seed {seed}")
    print(f"drawn in {seconds:.2f} s by revision {facts['model_revision']} of the model")


def tell_next(command: str, wish: Wish, drawn: Drawn, given: Sequence[str]) -> None:
    """What can be typed next. ``given``: what it takes besides the wish."""
    again = shlex.join(["python", "-m", "model", command, wish.prompt, *given])
    print(f"""
Next
  {again} --seed {drawn.seeds[0]}
      the same again; change a word, or --steps, and see what it does
  {again} -n 4
      four others""")
