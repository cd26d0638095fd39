"""Keep what the text encoders made of a prompt (W43). Imports torch: engine process only.

A negative prompt is the same in request after request, and a prompt often is; encoding it again
gives the same numbers. The key is the content of the encoder's inputs, so a hit is what a miss
would have computed, bit for bit.
"""

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..contract.generation import CacheUse, GenerationRequest

ENCODERS: Final = ("text_encoder", "text_encoder_2", "text_encoder_3", "text_encoder_4")
# Language models return it, no pipeline reads it, and it is larger than all the rest.
LEFT_OUT: Final = "past_key_values"
PLAIN: Final = (type(None), bool, int, float, str)


@dataclass(slots=True)
class _Entry:
    """``prompts``: those of the first request that used it. ``shared``: another request used it
    with other prompts, as only a negative prompt is. ``served``: a user's request has used it.
    """

    leaves: list[Any]
    structure: Any
    size: int
    prompts: tuple[str, ...]
    used: int = 0
    shared: bool = False
    served: bool = False

    @property
    def worth(self) -> tuple[bool, bool, int]:
        """What goes first is the least: made by warmup alone, then what was not used for long."""
        return (self.shared, self.served, self.used)


@dataclass(slots=True)
class PromptCache:
    """At most ``limit`` bytes, on the device; ``size`` is how many it holds. ``adapter``
    names what else the weights depend on.
    """

    limit: int
    adapter: str = ""
    size: int = 0
    _entries: dict[bytes, _Entry] = field(default_factory=dict)
    _clock: Any = field(default_factory=itertools.count)
    _request: GenerationRequest | None = None
    _hits: int = 0
    _misses: int = 0

    def wrap(self, pipelines: Iterable[Any]) -> None:
        """Go between the pipelines and their text encoders. An encoder that several share is
        wrapped once."""
        if not self.limit:
            return
        encoders: dict[int, tuple[str, Any]] = {}
        for pipeline in pipelines:
            for name in ENCODERS:
                encoder = getattr(pipeline, name, None)
                if isinstance(encoder, torch.nn.Module):
                    encoders[id(encoder)] = (name, encoder)
        for name, encoder in encoders.values():
            encoder.forward = _Remembering(self, name, encoder.forward)

    def begin(self, request: GenerationRequest) -> None:
        """What is encoded from now on is for ``request``."""
        self._request = request
        self._hits = self._misses = 0

    @property
    def use(self) -> CacheUse:
        """Hits and misses since ``begin``, and the bytes that are kept."""
        return CacheUse(self._hits, self._misses, self.size)

    def encode(self, name: str, forward: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The output of ``forward``: kept from before, or computed and kept."""
        key = _key((name, self.adapter, given, sorted(named.items())))
        if key is None:  # a conversation goes on, which is no prompt
            return forward(*given, **named)
        entry = self._entries.get(key)
        if entry is not None:
            self._hits += 1
            self._touch(entry)
            return tree_unflatten(_copies(entry.leaves), entry.structure)
        self._misses += 1
        output = forward(*given, **named)
        self._keep(key, output)
        return output

    def _touch(self, entry: _Entry) -> None:
        entry.used = next(self._clock)
        if self._request is not None:
            entry.shared |= self._request.prompts != entry.prompts
            entry.served |= not self._request.warmup

    def _keep(self, key: bytes, output: Any) -> None:
        if isinstance(output, dict) and LEFT_OUT in output:
            output = type(output)(**{**output, LEFT_OUT: None})
        leaves, structure = tree_flatten(output)
        if not all(isinstance(each, torch.Tensor | None | bool | int | float) for each in leaves):
            return
        copies = _copies(leaves)
        distinct = {id(each): each for each in copies if isinstance(each, torch.Tensor)}
        size = sum(each.nbytes for each in distinct.values())
        if size > self.limit:
            return
        prompts = self._request.prompts if self._request else ()
        entry = self._entries[key] = _Entry(copies, structure, size, prompts)
        self._touch(entry)
        self.size += size
        while self.size > self.limit:
            least = min(self._entries, key=lambda each: self._entries[each].worth)
            self.size -= self._entries.pop(least).size


class _Remembering:
    """An encoder's ``forward``, with a memory."""

    def __init__(self, cache: PromptCache, name: str, forward: Any) -> None:
        self._cache, self._name, self._forward = cache, name, forward
        self.__wrapped__ = forward  # for those who ask for the signature

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._cache.encode(self._name, self._forward, given, named)


def _copies(leaves: list[Any]) -> list[Any]:
    """Tensors of their own: a pipeline may write into them. What was one tensor stays one."""
    made: dict[int, Any] = {}
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor) and id(leaf) not in made:
            made[id(leaf)] = leaf.detach().clone()
    return [made.get(id(leaf), leaf) for leaf in leaves]


def _key(inputs: Any) -> bytes | None:
    """A hash of the content of tensors and plain values; None when there is anything else."""
    leaves, structure = tree_flatten(inputs)
    digest = hashlib.blake2b(str(structure).encode(), digest_size=16)
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            digest.update(f"{leaf.dtype} {tuple(leaf.shape)} {leaf.device}".encode())
            flat = leaf.detach().cpu().contiguous().view(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
        elif isinstance(leaf, PLAIN):
            digest.update(f"{type(leaf).__name__} {leaf!r}".encode())
        else:
            return None
    return digest.digest()
