"""What a role is asked for, and what comes of it: tensors by name, as the bytes of a safetensors
file, and facts that JSON can hold. Who carries them looks into neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .compilation import Compilations
from .generation import CacheUse, Timings


@dataclass(frozen=True, slots=True)
class StageWork:
    """``deadline`` is a reading of ``time.monotonic()``."""

    id: str
    facts: Mapping[str, Any]
    tensors: bytes
    deadline: float | None = None
    warmup: bool = False

    @property
    def shape(self) -> str:
        """For messages."""
        request = self.facts.get("request")
        told = request if isinstance(request, dict) else {}
        sampling = told.get("sampling")
        sizes = sampling if isinstance(sampling, dict) else {}
        return f"a stage of {told.get('task')} {sizes.get('width')}x{sizes.get('height')}"


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """``facts`` and ``tensors`` are for the next stage, or for who asked: a decoder's tensor is
    ``pixels``, uint8 as in ``Generation``.
    """

    id: str
    facts: Mapping[str, Any]
    tensors: bytes
    timings: Timings
    peak_memory_bytes: int = 0
    compilations: Compilations = field(default_factory=Compilations)
    prompt_cache: CacheUse = field(default_factory=CacheUse)
    notes: dict[str, str] = field(default_factory=dict)
