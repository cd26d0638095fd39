"""The words of compilation: which parts torch compiles, and what it compiled for one request."""

from dataclasses import dataclass
from enum import StrEnum


class CompileMode(StrEnum):
    """``regional``: the denoiser's repeated blocks, one by one; all blocks of a kind share their
    code. ``full``: the whole denoiser, and the VAE's decoder.
    """

    OFF = "off"
    REGIONAL = "regional"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Compilations:
    """``compiles``: functions compiled for the first time. ``recompiles``: the same ones again, for
    arguments that the code at hand does not fit. ``autotunes``: kernels chosen by measuring.
    ``eager_calls``: calls of compiled parts that no code fitted, so that they ran uncompiled (W40).
    """

    compiles: int = 0
    recompiles: int = 0
    autotunes: int = 0
    eager_calls: int = 0

    @property
    def total(self) -> int:
        """What was compiled."""
        return self.compiles + self.recompiles + self.autotunes

    def __add__(self, other: "Compilations") -> "Compilations":
        return Compilations(
            self.compiles + other.compiles,
            self.recompiles + other.recompiles,
            self.autotunes + other.autotunes,
            self.eager_calls + other.eager_calls,
        )

    def since(self, before: "Compilations") -> "Compilations":
        """What came on top of ``before``."""
        return Compilations(
            self.compiles - before.compiles,
            self.recompiles - before.recompiles,
            self.autotunes - before.autotunes,
            self.eager_calls - before.eager_calls,
        )
