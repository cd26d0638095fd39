"""The two ranks of one engine: the first asks, the second computes. Imports torch: engine process
only.

The second rank holds nothing of a request but the call at hand. That is why a cancellation, which
the first rank sees between two steps, leaves nothing behind there.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ..contract.compilation import Compilations
from ..contract.generation import GenerationRequest
from ..errors import GenerationFailed
from ..pipelines.branches import denoisers, divide
from ..pipelines.compilation import compilations
from ..pipelines.families import family_of
from ..pipelines.loader import LoadedModel
from .exchange import Exchange
from .memory import free, is_out_of_memory
from .messages import EngineOptions, Meeting, RankLost

# Of an older torch, none.
DEVICE_ERROR: Any = getattr(torch, "AcceleratorError", ())


@dataclass(frozen=True, slots=True)
class Failure:
    """In the place of an output: the call raised, and the rank is fine."""

    reason: str
    out_of_memory: bool


def meet(meeting: Meeting, options: EngineOptions, model: LoadedModel) -> Exchange:
    """Wait for the other rank.

    Raises:
        ModelNotLoadable: it cannot be reached.
    """
    device = torch.device(model.description.device)
    return Exchange(meeting, options.rank, options.ranks, device)


class FirstRank:
    """Draws the requests, and has a part of each step computed; ``branches.OtherRank``."""

    def __init__(self, exchange: Exchange, model: LoadedModel) -> None:
        self._exchange = exchange
        self._compiled = self._compiled_before = Compilations()
        branches = family_of(model.description.pipeline).branches
        self._division = divide(model.pipelines.values(), branches, self)

    def begin(self, request: GenerationRequest) -> None:
        """The calls from now on are those of ``request``."""
        self._compiled_before = self._compiled
        self._division.begin(request)

    @property
    def compilations(self) -> Compilations:
        """What the second rank compiled since ``begin``."""
        return self._compiled.since(self._compiled_before)

    def ask(self, part: str, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._exchange.send((part, given, named))

    def answer(self) -> Any:
        """The output of what was asked for.

        Raises:
            MemoryError: the second rank had no room.
            GenerationFailed: its call failed.
            RankLost: it is gone.
        """
        announced = self._exchange.announced()
        if isinstance(announced, Failure):
            reason = f"rank 1: {announced.reason}"
            raise MemoryError(reason) if announced.out_of_memory else GenerationFailed(reason)
        output, self._compiled = self._exchange.taken(announced)
        return output


class SecondRank:
    """Computes what it is asked for. ``uncompiled``: after an error of the compiler, whether
    the call shall be tried once more without it."""

    def __init__(
        self, exchange: Exchange, model: LoadedModel, uncompiled: Callable[[Exception], bool]
    ) -> None:
        self._exchange = exchange
        self._parts = denoisers(model.pipelines.values())
        self._uncompiled = uncompiled

    def listen(self, tell: Callable[[Any], None]) -> None:
        """Tell of every call that is announced, and at last of the ``RankLost``."""

        def wait() -> None:
            try:
                while True:
                    tell(Announced(self._exchange.announced()))
            except RankLost as lost:
                tell(lost)

        threading.Thread(target=wait, name="rank-calls", daemon=True).start()

    @torch.inference_mode()
    def compute(self, call: "Announced") -> None:
        """Compute, and answer.

        Raises:
            RankLost: there is nobody to answer.
            torch.AcceleratorError: no call survives it.
        """
        part, given, named = self._exchange.taken(call.content)
        try:
            output = self._called(self._parts[part], given, named)
        except DEVICE_ERROR:
            raise
        # The process boundary: whatever the denoiser raised is told to the rank that asked.
        except Exception as error:  # noqa: BLE001
            reason = f"{type(error).__name__}: {str(error)[:300]}"
            failure = Failure(reason, is_out_of_memory(error))
            free(error)
            self._exchange.send(failure)
            return
        self._exchange.send((output, compilations()))

    def _called(self, part: Any, given: Any, named: Any) -> Any:
        try:
            return part(*given, **named)
        except Exception as error:
            if not self._uncompiled(error):
                raise
            return part(*given, **named)


@dataclass(frozen=True, slots=True)
class Announced:
    """A call whose tensors have yet to be taken."""

    content: Any
