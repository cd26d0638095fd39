"""``--cfg-parallel``: the two passes of classifier-free guidance, one on each of two ranks. Imports
torch: engine process only.

The pipeline knows nothing of it: it calls its denoiser as ever, and the call is divided. The second
rank has a copy of the denoiser, and computes what it is handed. So everything else (the scheduler,
cancellation, deadlines, the noise of a seed) is that of one rank.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from ..contract.generation import GenerationRequest
from ..errors import GenerationFailed
from .compilation import DENOISERS
from .families import Branches

# One for each pass.
RANKS: Final = 2


class OtherRank(Protocol):
    """Computes one call at a time."""

    def ask(self, part: str, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Have ``part`` called, and go on meanwhile."""

    def answer(self) -> Any:
        """The output of the call; waits for it. Raises what the call raised."""


def denoisers(pipelines: Iterable[Any]) -> dict[str, Any]:
    """The parts that each step runs, by name. Pipelines of one model share them."""
    found = {name: getattr(each, name, None) for each in pipelines for name in DENOISERS}
    return {name: part for name, part in found.items() if part is not None}


def divide(pipelines: Iterable[Any], branches: Branches, second: OtherRank) -> "Division":
    """From now on the denoisers' calls are divided. Compile before: what is compiled is the whole
    call of a rank, and nothing of this."""
    division = Division(branches, second)
    for name, part in denoisers(pipelines).items():
        inner = part._compiled_call_impl or part._call_impl
        # What torch's own Module.compile() replaces, too.
        part._compiled_call_impl = functools.partial(division.call, name, inner)
    return division


@dataclass(slots=True)
class Division:
    """``_guided``: whether the request at hand runs both passes. ``_promise``: the output of the
    first call of a pair, which the second rank is still computing. ``_outputs``: what the output
    for an input of some shape looks like.
    """

    branches: Branches
    second: OtherRank
    _guided: bool = False
    _is_second_call: bool = False
    _promise: Any = None
    _outputs: dict[Any, Any] = field(default_factory=dict)

    def begin(self, request: GenerationRequest) -> None:
        """The calls from now on are those of ``request``."""
        self._guided = request.cfg
        self._is_second_call = False
        if self._promise is not None:  # a request that broke off between the two calls
            self._promise = None
            with contextlib.suppress(GenerationFailed, MemoryError):  # of the request that is over
                self.second.answer()

    def call(self, part: str, inner: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """In the place of the denoiser's call."""
        if not self._guided:
            return inner(*given, **named)
        if self.branches is Branches.TOGETHER:
            return self._together(part, inner, given, named)
        return self._apart(part, inner, given, named)

    def _together(
        self, part: str, inner: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Both passes are one call on twice the batch: a half for each rank."""
        batch = len(_sample(given, named))
        if batch % RANKS:
            raise ValueError(f"a guided call of {part} has a batch of {batch}, which is odd")
        first, second = slice(0, batch // RANKS), slice(batch // RANKS, batch)
        self.second.ask(part, _cut(given, batch, second), _cut(named, batch, second))
        try:
            ours = inner(*_cut(given, batch, first), **_cut(named, batch, first))
        finally:
            theirs = self.second.answer()
        return _joined(ours, theirs)

    def _apart(
        self, part: str, inner: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """The passes are two calls, one after the other: the second rank computes the first one,
        whose output is promised, while this rank computes the second. Then the promise is kept: the
        pipeline looks at neither output before it has both.
        """
        if self._is_second_call:
            self._is_second_call = False
            return self._kept(inner, given, named)
        self._is_second_call = True
        sample = _sample(given, named)
        key = (part, tuple(sample.shape), sample.dtype)
        self.second.ask(part, given, named)
        if key not in self._outputs:
            output = self.second.answer()
            self._outputs[key] = tree_map_only(torch.Tensor, _without_content, output)
            return output
        self._promise = tree_map_only(torch.Tensor, _blank(sample.device), self._outputs[key])
        return self._promise

    def _kept(
        self, inner: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        promise, self._promise = self._promise, None
        if promise is None:
            return inner(*given, **named)
        try:
            output = inner(*given, **named)
        finally:
            found = self.second.answer()
        for blank, content in zip(tree_leaves(promise), tree_leaves(found), strict=True):
            blank.copy_(content)
        return output


def _sample(given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """The first argument of every denoiser: a tensor, or (Z-Image) a list of a tensor a picture."""
    return given[0] if given else next(iter(named.values()))


def _cut(value: Any, batch: int, place: slice) -> Any:
    """The part of the batch in whatever is as long as the batch; the rest as it is."""
    if isinstance(value, torch.Tensor):
        return value[place] if value.ndim and len(value) == batch else value
    if isinstance(value, list):
        return value[place] if len(value) == batch else value
    if isinstance(value, tuple):
        return tuple(_cut(each, batch, place) for each in value)
    if isinstance(value, dict):
        return {name: _cut(each, batch, place) for name, each in value.items()}
    return value


def _joined(first: Any, second: Any) -> Any:
    if isinstance(first, torch.Tensor):
        return torch.cat([first, second])
    if isinstance(first, list):
        return first + second
    if isinstance(first, dict):  # and diffusers' outputs
        return type(first)(**{name: _joined(each, second[name]) for name, each in first.items()})
    return tuple(_joined(*each) for each in zip(first, second, strict=True))


def _without_content(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(tensor, device="meta")


def _blank(device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """NaN, and so would the picture be, which is noticed, if a pipeline did look at it early."""
    return lambda like: torch.full(like.shape, torch.nan, dtype=like.dtype, device=device)
