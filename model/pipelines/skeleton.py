"""A component without its weights: the class, its configuration, and its buffers. Imports torch.

Pipelines read sizes, types and statistics off components that another role holds. The parameters,
which are all of the memory, lie on torch's ``meta`` device and are never read from disk; buffers
are a few numbers (the mean and deviation of latents), and hold what the folder says.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open

from ..errors import ModelNotLoadable

WEIGHTS: Final = "diffusion_pytorch_model*.safetensors"


class Reached(Exception):
    """A pipeline called what another role holds, with these arguments."""

    def __init__(self, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        super().__init__("the pipeline reached a component that another role holds")
        self.given = given
        self.named = named


class Skeleton:
    """Goes before a component's own class. ``place``: where the pipeline is to make its tensors."""

    place = torch.device("cpu")

    @property
    def device(self) -> torch.device:
        return self.place

    def forward(self, *given: Any, **named: Any) -> Any:
        raise Reached(given, named)

    encode = decode = forward


def is_skeleton(component: Any) -> bool:
    """Whether its weights are elsewhere."""
    return isinstance(component, Skeleton)


def skeleton_of(folder: Path, class_name: str, dtype: torch.dtype, place: torch.device) -> Any:
    """The skeleton of the component in ``folder``.

    Raises:
        ModelNotLoadable: diffusers has no such class, or its configuration is broken.
    """
    # Late: who only asks what is a skeleton shall not import a compiler by the way.
    import accelerate
    import diffusers

    kind = getattr(diffusers, class_name, None)
    if kind is None:
        raise ModelNotLoadable(f"{folder.name}: diffusers has no class {class_name}")
    bare = _bare(kind)
    # Missing files, broken JSON and values that the class refuses are each of another type.
    try:
        with accelerate.init_empty_weights():
            made = bare.from_config(bare.load_config(folder))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelNotLoadable(f"{folder.name}: {type(error).__name__}: {error}") from error
    # Not diffusers' own, which warns of types that only weights could lose.
    torch.nn.Module.to(made, dtype).eval().requires_grad_(False)
    made.place = place
    _fill_buffers(made, folder, dtype)
    return made


def restore(component: Any, dtype: torch.dtype) -> None:
    """Some calls cast the VAE before it decodes, and cast it back afterwards, which is never."""
    if is_skeleton(component) and component.dtype != dtype:
        torch.nn.Module.to(component, dtype)


@lru_cache
def _bare(kind: type) -> Any:
    """Under the class' own name, by which diffusers knows what it may be given."""
    return type(kind.__name__, (Skeleton, kind), {"__module__": kind.__module__})


def _fill_buffers(module: Any, folder: Path, dtype: torch.dtype) -> None:
    """What the folder says, where the buffer is kept there; what the class computed, elsewhere."""
    buffers = dict(module.named_buffers())
    kept = buffers.keys() & module.state_dict().keys()
    found: dict[str, Any] = {}
    for path in sorted(folder.glob(WEIGHTS)) if kept else ():
        with safe_open(path, framework="pt") as file:
            found |= {name: file.get_tensor(name) for name in kept & set(file.keys())}
    for name, tensor in (buffers | found).items():
        owner, _, last = name.rpartition(".")
        cast = tensor.to(dtype) if name in found and tensor.is_floating_point() else tensor
        module.get_submodule(owner)._buffers[last] = cast.to(module.place)
