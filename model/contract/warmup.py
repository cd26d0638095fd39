"""The words of the warmup settings."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

RESOLUTION: Final = re.compile(r"([1-9]\d{0,5})x([1-9]\d{0,5})")


class WarmupMode(StrEnum):
    """``server``: requests that the server builds for itself run before Ready (W20). ``request``: a
    short copy of the first user request runs before it (W06). ``off``: nothing runs.
    """

    OFF = "off"
    REQUEST = "request"
    SERVER = "server"


class OnFailure(StrEnum):
    """What a failed warmup leads to (W25). ``abort`` ends the process. ``degraded`` turns Ready and
    says so in metadata, metrics and readiness answers. ``ready`` turns Ready; only the warmup
    report tells.
    """

    ABORT = "abort"
    DEGRADED = "degraded"
    READY = "ready"


class UnwarmedShapes(StrEnum):
    """What becomes of a request whose shape no warmup has proven (W40)."""

    ALLOW = "allow"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Resolution:
    """Pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``1024x768``.

        Raises:
            ValueError: it is written otherwise.
        """
        found = RESOLUTION.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                f"{text[:40]!r} is no resolution; write WIDTHxHEIGHT in pixels, such as 1024x768"
            )
        return cls(int(found[1]), int(found[2]))

    @property
    def area(self) -> int:
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"
