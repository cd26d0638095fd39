"""How far a picture is: a bar on a terminal, nothing elsewhere."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol


class Bar(Protocol):
    def say(self, what: str) -> None:
        """What is going on, without an end in sight."""

    def step(self, done: int, of: int) -> None:
        """Of the steps."""


class Silence:
    def say(self, what: str) -> None:
        """Nobody watches."""

    def step(self, done: int, of: int) -> None:
        """Nobody watches."""


@contextlib.contextmanager
def shown() -> Iterator[Bar]:
    """On the standard error, so that the output stays clean."""
    if not sys.stderr.isatty():
        yield Silence()
        return
    # rich takes a tenth of a second to import, and only a terminal needs it.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        class OnTerminal:
            def say(self, what: str) -> None:
                progress.update(task, description=what, total=None, refresh=True)

            def step(self, done: int, of: int) -> None:
                text = f"step {done} of {of}"
                progress.update(task, description=text, completed=done, total=of, refresh=True)

        yield OnTerminal()
