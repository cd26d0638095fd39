"""What is measured: a model, how it is compiled, the sizes that its server declares warm, and one
that it does not.
"""

import re
from dataclasses import dataclass
from typing import Final

EMBEDDED: Final = "embedded://"
COMPILE: Final = ("off", "regional", "full")
# The first is Kiln's promise, the others are its partners.
MODES: Final = ("server", "request", "off")


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> "Size":
        """``1024x768``.

        Raises:
            ValueError: it is something else.
        """
        found = re.fullmatch(r"(\d+)x(\d+)", text)
        if found is None:
            raise ValueError(f"{text!r} is no size; write WIDTHxHEIGHT, such as 1024x768")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Subject:
    """``steps`` and ``output_format``: of each measured request. Each of ``compile`` and of
    ``modes`` (of the warmup) is measured, in turns. ``cfg_parallel``: by two devices a picture.
    """

    model: str = EMBEDDED
    sizes: tuple[Size, ...] = (Size(128, 128), Size(192, 128))
    undeclared: Size = Size(160, 160)
    steps: int = 8
    output_format: str = "png"
    compile: tuple[str, ...] = ("off",)
    modes: tuple[str, ...] = MODES
    cfg_parallel: bool = False

    @property
    def embedded(self) -> bool:
        return self.model == EMBEDDED

    @property
    def declared(self) -> str:
        """The sizes as ``--warmup-resolutions`` takes them."""
        return ",".join(map(str, self.sizes))
