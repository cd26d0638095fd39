"""What was proven, for metadata, metrics and people."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from ..contract.sampling import Shape
from ..contract.warmup import WarmupMode


@dataclass(frozen=True, slots=True)
class ShapeReport:
    """``passes``: seconds of each, in order. ``compiles``: graphs compiled in each. ``settled``:
    the last pass was within tolerance of the one before. ``steps``: steps a pass.
    ``asked``: the planned shape, where memory sufficed only for a smaller one (W24).
    ``real_passes`` and ``real_compiles``: the same of the passes that ran as a user's request
    would, where the server compiles (W17). ``engine``: where it ran, counted from 0 (W21).
    """

    shape: Shape
    steps: int
    passes: tuple[float, ...] = ()
    compiles: tuple[int, ...] = ()
    settled: bool = False
    failure: str | None = None
    asked: Shape | None = None
    real_passes: tuple[float, ...] = ()
    real_compiles: tuple[int, ...] = ()
    engine: int = 0

    @property
    def proven(self) -> bool:
        return bool(self.passes) and self.failure is None

    @property
    def degraded(self) -> bool:
        """A smaller shape than the planned one is warm."""
        return self.proven and self.asked is not None

    @property
    def first_over_steady(self) -> float | None:
        """What the first user would have paid, over what the next ones pay."""
        return round(self.passes[0] / self.passes[-1], 3) if self.proven else None

    def as_json(self) -> dict[str, Any]:
        return {
            "shape": str(self.shape),
            **asdict(self.shape),
            "engine": self.engine,
            "steps": self.steps,
            "passes": [round(each, 4) for each in self.passes],
            "compiles": list(self.compiles),
            "real_passes": [round(each, 4) for each in self.real_passes],
            "real_compiles": list(self.real_compiles),
            "settled": self.settled,
            "proven": self.proven,
            "first_over_steady": self.first_over_steady,
            "degraded": self.degraded,
            "asked": str(self.asked) if self.asked else None,
            "failure": self.failure,
        }


@dataclass(frozen=True, slots=True)
class WarmupReport:
    """``reason``: which source chose the mode. ``eta_s``: seconds left, None while unknown.
    ``engines``: how many run the plan; ``of`` and ``shapes`` count each shape on each of them.
    """

    mode: WarmupMode
    reason: str
    of: int = 0
    shapes: tuple[ShapeReport, ...] = field(default_factory=tuple)
    seconds: float = 0.0
    eta_s: float | None = None
    failure: str | None = None
    engines: int = 1

    @property
    def done(self) -> int:
        return len(self.shapes)

    @property
    def proven_shapes(self) -> frozenset[Shape]:
        """Those that every engine has proven (W21)."""
        found = {(each.shape, each.engine) for each in self.shapes if each.proven}
        count = Counter(shape for shape, _ in found)
        return frozenset(shape for shape in count if count[shape] == self.engines)

    @property
    def degraded(self) -> str | None:
        """Which shapes were shrunk to fit into memory, in words; None where none was."""
        shrunk = [f"{each.asked} to {each.shape}" for each in self.shapes if each.degraded]
        if not shrunk:
            return None
        return f"no memory for {len(shrunk)} of {self.of} planned shapes: {'; '.join(shrunk[:8])}"

    @property
    def degraded_shapes(self) -> int:
        return sum(1 for each in self.shapes if each.degraded)

    def as_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "reason": self.reason,
            "engines": self.engines,
            "done": self.done,
            "of": self.of,
            "eta_s": self.eta_s,
            "seconds": round(self.seconds, 3),
            "degraded_shapes": self.degraded_shapes,
            "shapes": [each.as_json() for each in self.shapes],
            "failure": self.failure,
        }
