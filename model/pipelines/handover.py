"""What one stage hands to the next: tensors by name, and what JSON can hold of the rest. Imports
torch: engine process only.

Whatever a pipeline's call returned is taken apart (``Packing``) and put together again
(``unpacked``) as it was, in its order: a pipeline then cannot tell it from its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import safetensors.torch
import torch
from safetensors import SafetensorError

from ..errors import GenerationFailed, InvalidRequest

PLAIN: Final = (type(None), bool, int, float, str)


@dataclass(frozen=True, slots=True)
class Handover:
    """``tensors`` lie in the memory of the CPU. ``facts`` are JSON."""

    tensors: Mapping[str, torch.Tensor]
    facts: Mapping[str, Any]

    def written(self) -> bytes:
        """The tensors, as safetensors writes them."""
        return safetensors.torch.save(dict(self.tensors))

    @classmethod
    def read(cls, tensors: bytes, facts: Mapping[str, Any]) -> "Handover":
        """Raises:
        InvalidRequest: the bytes are no safetensors file.
        """
        try:
            return cls(safetensors.torch.load(tensors), facts)
        except SafetensorError as error:
            raise InvalidRequest("tensors", f"are no safetensors: {error}") from error


@dataclass(slots=True)
class Packing:
    """Collects tensors. ``copies``: how often each prompt is drawn; a tensor that has each of its
    rows as often travels with each row once."""

    copies: int = 1
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    _known: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def packed(self, name: str, value: Any) -> Any:
        """What JSON can hold of ``value``; its tensors go under ``name`` and their places in it.

        Raises:
            GenerationFailed: it is neither plain nor of tensors.
        """
        if isinstance(value, torch.Tensor):
            return self._tensor(name, value)
        if isinstance(value, list | tuple):
            packed = [self.packed(f"{name}.{place}", each) for place, each in enumerate(value)]
            return {"list" if isinstance(value, list) else "tuple": packed}
        if isinstance(value, PLAIN):
            return value
        raise GenerationFailed(f"{name} is {type(value).__name__}, which cannot be handed over")

    def _tensor(self, name: str, value: torch.Tensor) -> Any:
        # The object itself is kept as well: its number may be another's once it is gone.
        known = self._known.get(id(value))
        if known is None:
            rows = value[:: self.copies] if self.copies > 1 and value.ndim else value
            repeat = self.copies if _is_repeated(value, rows, self.copies) else 1
            # A copy: safetensors refuses tensors that share their memory.
            self.tensors[name] = (rows if repeat > 1 else value).detach().cpu().clone().contiguous()
            known = self._known[id(value)] = (
                value,
                {"tensor": name, "repeat": repeat, "order": _order(value)},
            )
        return known[1]


def unpacked(packed: Any, tensors: Mapping[str, torch.Tensor], device: torch.device) -> Any:
    """What ``Packing.packed`` was given, on ``device``.

    Raises:
        InvalidRequest: a tensor is missing, or this is no packing.
    """
    if isinstance(packed, PLAIN):
        return packed
    match packed:
        case {"tensor": str(name), "repeat": int(repeat), "order": list(order)}:
            if name not in tensors or not _is_order(order, tensors[name].ndim):
                raise InvalidRequest("tensors", f"lack {name[:100]} as the facts describe it")
            found = tensors[name].to(device)
            rows = found.repeat_interleave(repeat, dim=0) if repeat > 1 else found
            return _laid_out(rows, order)
        case {"list": list(values)}:
            return [unpacked(each, tensors, device) for each in values]
        case {"tuple": list(values)}:
            return tuple(unpacked(each, tensors, device) for each in values)
    raise InvalidRequest("facts", "hold something else where a tensor is described")


def _order(value: torch.Tensor) -> list[int]:
    """The dimensions by how they lie in memory, the outermost first. Convolutions hand their order
    on, and another one may be computed by another kernel, which rounds otherwise."""
    strides = value.stride()
    return sorted(range(value.ndim), key=lambda place: (-strides[place], place))


def _is_order(order: list[Any], dimensions: int) -> bool:
    return all(type(each) is int for each in order) and sorted(order) == list(range(dimensions))


def _laid_out(value: torch.Tensor, order: list[int]) -> torch.Tensor:
    back = sorted(range(len(order)), key=order.__getitem__)
    return value.permute(order).contiguous().permute(back)


def _is_repeated(value: torch.Tensor, rows: torch.Tensor, copies: int) -> bool:
    if copies == 1 or not value.ndim or len(rows) * copies != len(value):
        return False
    return torch.equal(value, rows.repeat_interleave(copies, dim=0))
