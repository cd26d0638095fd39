"""What may go wrong in the operator, in one tree. The class carries the exit status of the command
line, or the reason of the condition that the error becomes.

A message names the field or the object, and says how to mend it.
"""

from typing import ClassVar


class ControllerError(Exception):
    """The root."""

    exit_code: ClassVar[int] = 1


class BadInput(ControllerError):
    """A file, a flag or an address that cannot be used."""

    exit_code = 2


class InvalidService(ControllerError):
    """A DiffusionService that the API server would refuse. ``problems``: one line each."""

    exit_code = 3
    reason: ClassVar[str] = "InvalidSpec"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
