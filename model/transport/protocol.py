"""What the transport asks of a role, and what it tells it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol
from uuid import uuid4

from ..contract.roles import Role
from ..contract.sampling import ModelDescription
from ..contract.state import State
from ..contract.wire import STAGE_OF, Stage
from .payload import Payload

NO_TRACE: Final[Mapping[str, str]] = MappingProxyType({})
# Steps that are done, of how many.
OnStep = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StageRequest:
    """``deadline`` is a reading of this process' ``time.monotonic()``. ``trace``: W3C's
    ``traceparent`` and ``tracestate``, where the caller has them.
    """

    payload: Payload
    deadline: float | None = None
    trace: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageResult:
    """``data``: safetensors bytes."""

    data: bytes
    facts: Mapping[str, Any]


class StageRunner(Protocol):
    """What computes a stage: in a role's pod, its engine."""

    async def run(self, request: StageRequest, on_step: OnStep) -> StageResult:
        """When the calling task is cancelled, it stops at the next step, and only then returns.

        Raises:
            RequestError: by kind; the caller, in another process, gets the same class.
        """
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers. ``instance`` is another with each start of the process. ``about``: the model, of
    which ``revision`` is; None until it is loaded.
    """

    role: Role
    model: str
    revision: str
    instance: str = field(default_factory=lambda: uuid4().hex)
    about: ModelDescription | None = None

    @property
    def stage(self) -> Stage:
        return STAGE_OF[self.role]


@dataclass(frozen=True, slots=True)
class Description:
    """What a replica says of itself."""

    identity: Identity
    wire_versions: tuple[int, ...]
    state: State
