"""What a role is asked for, and what comes of it: tensors by name, as the bytes of a safetensors
file, and facts that JSON can hold. Who carries them looks into neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

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


@dataclass(frozen=True, slots=True)
class StageCost:
    """What a stage tells whoever leads the chain, beside what the next stage needs."""

    timings: Timings
    notes: dict[str, str] = field(default_factory=dict)
    compilations: Compilations = field(default_factory=Compilations)
    peak_memory_bytes: int = 0


_COST: Final = TypeAdapter(StageCost)
# Facts by these names are for no other stage.
COST: Final = frozenset(each.name for each in fields(StageCost))


def write_cost(outcome: StageOutcome) -> dict[str, Any]:
    """As facts."""
    cost = StageCost(
        outcome.timings, outcome.notes, outcome.compilations, outcome.peak_memory_bytes
    )
    found: dict[str, Any] = _COST.dump_python(cost, mode="json")
    return found


def read_cost(facts: Mapping[str, Any]) -> StageCost:
    """
    Raises:
        ValueError: they tell nothing of it, or something else.
    """
    try:
        return _COST.validate_python({name: each for name, each in facts.items() if name in COST})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
