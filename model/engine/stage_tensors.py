"""Tensors as safetensors bytes and back, in the engine: the one process that has torch."""

from collections.abc import Mapping

import safetensors
import safetensors.torch
import torch

from ..errors import GenerationFailed


def to_bytes(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Of any layout and device. What shares memory is written for each of its names.

    Raises:
        GenerationFailed: a type that safetensors does not have.
    """
    # Two names of one memory would be refused.
    seen: set[int] = set()
    whole: dict[str, torch.Tensor] = {}
    for name, each in tensors.items():
        tensor = each.detach().contiguous().cpu()
        if tensor.untyped_storage().data_ptr() in seen:
            tensor = tensor.clone()
        seen.add(tensor.untyped_storage().data_ptr())
        whole[name] = tensor
    try:
        return safetensors.torch.save(whole)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise GenerationFailed(f"tensors cannot be sent: {error}") from error


def from_bytes(data: bytes, device: str | torch.device = "cpu") -> dict[str, torch.Tensor]:
    """
    Raises:
        GenerationFailed: these are no safetensors bytes.
    """
    try:
        found = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise GenerationFailed(f"tensors cannot be read: {error}") from error
    return {name: each.to(device) for name, each in found.items()}
