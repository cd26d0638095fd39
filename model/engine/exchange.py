"""What the ranks of one engine hand to each other. Imports torch: engine process only.

A pipe tells what comes, and what became of it; the tensors themselves go from device to device by
torch.distributed: NCCL between GPUs, gloo between processes on a CPU.
"""

import datetime
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.distributed as dist
from torch.utils._pytree import tree_leaves, tree_map_only

from ..errors import ModelNotLoadable
from .messages import Meeting, RankLost

# Whoever hangs is found by the API process, which ends all ranks: nothing here need time out.
NEVER: Final = datetime.timedelta(days=365)
# Tensors begin there, so that compiled code finds them aligned as it did when it was compiled.
ALIGNMENT: Final = 64


@dataclass(frozen=True, slots=True)
class Parcel:
    """In the place of a tensor that follows. ``host``: it lies in the memory of the CPU."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    host: bool

    @property
    def size(self) -> int:
        """In bytes, with the room to the next tensor."""
        content = torch.Size(self.shape).numel() * self.dtype.itemsize
        return -(-content // ALIGNMENT) * ALIGNMENT


class Exchange:
    """One rank's end. What one sends the other takes, in turns."""

    def __init__(self, meeting: Meeting, rank: int, ranks: int, device: torch.device) -> None:
        self._pipe = meeting.pipe
        self._rank = rank
        self._device = device
        gpu = device.type == "cuda"
        _stay_on_this_machine()
        try:
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if gpu else "gloo",
                init_method=meeting.file.as_uri(),
                rank=rank,
                world_size=ranks,
                timeout=NEVER,
                device_id=device if gpu else None,
            )
        except RuntimeError as error:
            first = str(error).strip().splitlines()[0]
            raise ModelNotLoadable(f"it cannot reach the other rank: {first[:300]}") from error

    def send(self, content: Any) -> None:
        """Anything of plain values and tensors.

        Raises:
            RankLost: nobody takes it.
        """
        tensors = [each for each in tree_leaves(content) if isinstance(each, torch.Tensor)]
        try:
            self._pipe.send(tree_map_only(torch.Tensor, _parcel, content))
            for host in (True, False):
                of_place = [each for each in tensors if (each.device.type == "cpu") is host]
                if of_place:
                    dist.broadcast(_packed(of_place), src=self._rank)
        except (OSError, EOFError, RuntimeError) as error:
            raise RankLost(str(error)) from error

    def announced(self) -> Any:
        """The next content, with ``Parcel`` where tensors are; waits for it.

        Raises:
            RankLost: nobody sends it.
        """
        try:
            return self._pipe.recv()
        except (OSError, EOFError) as error:
            raise RankLost(str(error)) from error

    def taken(self, announced: Any) -> Any:
        """The content, with its tensors.

        Raises:
            RankLost: they do not come, or there is no room for them.
        """
        parcels = [each for each in tree_leaves(announced) if isinstance(each, Parcel)]
        tensors: dict[int, torch.Tensor] = {}
        try:
            for host in (True, False):
                of_place = [each for each in parcels if each.host is host]
                if of_place:
                    tensors |= self._unpacked(of_place, "cpu" if host else self._device)
        except RuntimeError as error:
            raise RankLost(str(error)) from error
        return tree_map_only(Parcel, lambda each: tensors[id(each)], announced)

    def _unpacked(
        self, parcels: list[Parcel], device: torch.device | str
    ) -> dict[int, torch.Tensor]:
        size = sum(each.size for each in parcels)
        buffer = torch.empty(size, dtype=torch.uint8, device=device)
        dist.broadcast(buffer, src=1 - self._rank)
        found, start = {}, 0
        for each in parcels:
            content = torch.Size(each.shape).numel() * each.dtype.itemsize
            raw = buffer[start : start + content]
            found[id(each)] = raw.view(each.dtype).view(each.shape)
            start += each.size
        return found


def _stay_on_this_machine() -> None:
    """W35: by the loopback, whatever the machine's name leads to. What the user has set stays."""
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        if names:
            os.environ.setdefault(variable, names[0])


def _parcel(tensor: torch.Tensor) -> Parcel:
    return Parcel(tuple(tensor.shape), tensor.dtype, tensor.device.type == "cpu")


def _packed(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    parts = []
    for each in tensors:
        raw = each.contiguous().reshape(-1).view(torch.uint8)
        room = _parcel(each).size - len(raw)
        parts.append(torch.nn.functional.pad(raw, (0, room)))
    return torch.cat(parts)
