"""What the two processes say to each other. Only processes of one parent pickle to each other."""

from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path

from ..contract.adapter import Adapter
from ..contract.compilation import Compilations, CompileMode
from ..contract.generation import CacheUse, GenerationRequest, Timings
from ..contract.roles import Role
from ..contract.sampling import ModelDescription
from ..contract.stages import StageOutcome, StageWork


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the engine needs to know of the settings. ``threads`` 0: as many as it may use.
    ``engine``: which it is of how many, counted from 0. ``rank``: which process of the engine.
    """

    model: str
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 0
    log_level: str = "info"
    log_format: str = "auto"
    compile: CompileMode = CompileMode.OFF
    cache_dir: Path | None = None
    prompt_cache_bytes: int = 0
    engine: int = 0
    engines: int = 1
    rank: int = 0
    ranks: int = 1
    loras: dict[str, Path] = field(default_factory=dict)
    role: Role = Role.MONOLITHIC

    @property
    def number(self) -> int:
        """Of the process, counted over all ranks of all engines: it chooses the device."""
        return self.engine * self.ranks + self.rank


@dataclass(frozen=True, slots=True)
class Meeting:
    """How a rank finds the other one of its engine: its end of a pipe between them, and the file by
    which torch.distributed introduces them, in a folder of its own.
    """

    pipe: Connection
    file: Path


@dataclass(frozen=True, slots=True)
class Generate:
    """``number`` names the execution: a client chooses its request's id, and may use one twice.
    ``pixels`` names the shared memory that takes the pictures; ``previews`` the one that takes the
    request's previews, each as large.
    """

    number: int
    request: GenerationRequest
    pixels: str
    previews: str = ""


@dataclass(frozen=True, slots=True)
class RunStage:
    """``Generate`` of an engine that plays a role."""

    number: int
    request: StageWork


@dataclass(frozen=True, slots=True)
class StageEnded:
    number: int
    outcome: StageOutcome


@dataclass(frozen=True, slots=True)
class Cancel:
    number: int


@dataclass(frozen=True, slots=True)
class ChangeAdapter:
    """Sent while nothing runs. None: the base weights alone."""

    number: int
    adapter: Adapter | None


@dataclass(frozen=True, slots=True)
class AdapterChanged:
    number: int


@dataclass(frozen=True, slots=True)
class Settle:
    """Warmup is over (``settled``), and nothing compiles from now on; or it begins again."""

    number: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """The engine has settled, or is free again. ``kept``: Python objects that it set aside."""

    number: int
    kept: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered by the engine's reader thread, even while it draws."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End once the current request is done."""


@dataclass(frozen=True, slots=True)
class Loading:
    """``stage``: find, import, read."""

    stage: str


@dataclass(frozen=True, slots=True)
class Loaded:
    description: ModelDescription


@dataclass(frozen=True, slots=True)
class LoadFailed:
    reason: str


@dataclass(frozen=True, slots=True)
class StepDone:
    number: int
    step: int
    of: int


@dataclass(frozen=True, slots=True)
class PreviewDrawn:
    """It lies in the shared memory for previews, at ``index``."""

    number: int
    index: int
    step: int
    of: int


@dataclass(frozen=True, slots=True)
class Done:
    number: int
    timings: Timings
    compilations: Compilations = field(default_factory=Compilations)
    prompt_cache: CacheUse = field(default_factory=CacheUse)
    notes: dict[str, str] = field(default_factory=dict)
    peak_memory_bytes: int = 0


class Refusal(StrEnum):
    FAILED = "failed"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Refused:
    """The request ended without pictures; the engine is fine."""

    number: int
    kind: Refusal
    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The device is in a state that no request survives; the engine ends."""

    reason: str


class RankLost(Exception):
    """The other rank of the engine is gone. Nothing that is under way survives it."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The engine's process is alive."""
