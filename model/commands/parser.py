"""The parser of all commands: it knows no abbreviations, and suggests what was probably meant."""

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

# What ``add_subparsers`` returns; argparse has no public name for it.
Commands = Any


class Parser(argparse.ArgumentParser):
    """Refuses abbreviations, and suggests the flag that was probably meant."""

    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End with the arguments that nobody knows, and the flags that were probably meant."""
        known = [each for action in self._actions for each in action.option_strings]
        near = [difflib.get_close_matches(each.partition("=")[0], known, n=1) for each in unknown]
        hint = " ".join(f"did you mean {each[0]}?" for each in near if each)
        self.error(f"unknown arguments: {' '.join(unknown)}; {hint or 'see --help'}")
