"""What a pod's server tells of its warmup: the answer of /v2/models/NAME, which it gives from its
first second on (W31).
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from model.contract.state import State

LOADED: Final = frozenset({State.WARMING, State.READY, State.DRAINING})
LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Told:
    """``done`` of ``of`` planned shapes have run. ``shapes``: those that are warm. ``degraded``:
    why there is less than was planned. ``failure``: why the warmup is not complete. ``proven``: of
    a router, replicas by role that have been through the whole chain; None of other servers.
    """

    state: State
    done: int = 0
    of: int = 0
    seconds: float = 0.0
    shapes: tuple[str, ...] = ()
    degraded: str | None = None
    failure: str | None = None
    proven: Mapping[str, int] | None = None

    @property
    def loaded(self) -> bool:
        return self.state in LOADED

    def knows(self, ready: Mapping[str, int]) -> bool:
        """Whether it has proven all of these, and so has nothing more to say of them."""
        return self.proven is None or all(
            self.proven.get(role, 0) == count for role, count in ready.items()
        )


# By name of the pod. None: it cannot be asked. Missing: it has not been asked yet.
Telling = Mapping[str, Told | None]


def read_told(text: bytes) -> Told | None:
    """None where it is no answer of a server of ours."""
    try:
        found = json.loads(text)
        warmup = found["warmup"]
        return Told(
            state=State(found["state"]),
            done=int(warmup["done"]),
            of=int(warmup["of"]),
            seconds=round(float(warmup["seconds"]), 1),
            shapes=_warm(warmup["shapes"], int(warmup["engines"])),
            degraded=_words(found["degraded"]),
            failure=_words(warmup["failure"]),
            proven=_proven(found.get("roles")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _warm(shapes: list[Mapping[str, Any]], engines: int) -> tuple[str, ...]:
    """Those that every engine of the pod has proven (W21), in the order of the plan."""
    proven = Counter(str(each["shape"]) for each in shapes if each["proven"])
    return tuple(shape for shape, number in proven.items() if number == engines)


def _proven(roles: Mapping[str, Any] | None) -> Mapping[str, int] | None:
    return {role: int(each["proven"]) for role, each in roles.items()} if roles else None


def _words(text: object) -> str | None:
    return str(text)[:LONGEST] if text else None
