"""What a role loads of a diffusers folder: its own components' weights, and nothing of the others'
but their configuration. Imports torch: engine process only.
"""

import inspect
from typing import Any

import diffusers
import torch

from ..contract.roles import Role
from ..errors import ModelNotLoadable
from .cuts import OTHER_HALF, SKELETONS, VAE, check_cut, parts_of
from .defaults import read_json
from .families import family_of
from .inspection import describe_folder
from .location import ModelFolder
from .skeleton import is_skeleton, skeleton_of
from .vae import FLUX_2


def lent_parts(
    folder: ModelFolder, role: Role, dtype: torch.dtype, place: torch.device
) -> dict[str, Any]:
    """What the pipeline is given in the place of other roles' components: a skeleton, or None.

    Raises:
        ModelNotLoadable: the pipeline cannot be cut.
    """
    index = read_json(folder.path / "model_index.json")
    check_cut(role, folder.pipeline, folder.path)
    held = parts_of(role, describe_folder(folder))
    lent: dict[str, Any] = {}
    for name, origin in index.items():
        if name in held or not isinstance(origin, list):
            continue
        made = name in SKELETONS and origin[1]
        lent[name] = skeleton_of(folder.path / name, origin[1], dtype, place) if made else None
    _check_statistics(folder, role, lent.get(VAE))
    # diffusers would warn of a safety checker that was turned off. It is the decoder's.
    kind = getattr(diffusers, folder.pipeline)
    if role is not Role.DECODER and "requires_safety_checker" in _parameters(kind):
        lent["requires_safety_checker"] = False
    return lent


def move(pipeline: Any, place: torch.device) -> None:
    """As the pipeline's own ``to``, which fails on what has no weights."""
    if not any(is_skeleton(each) for each in pipeline.components.values()):
        pipeline.to(place)
        return
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module) and not is_skeleton(component):
            component.to(place)


def drop_other_half(pipeline: Any, role: Role) -> None:
    """A VAE's file has its encoder and its decoder; each role keeps its own."""
    vae = getattr(pipeline, VAE, None)
    for name in OTHER_HALF.get(role, ()):
        # Not None: some VAEs count the layers of either half before each call.
        if not is_skeleton(vae) and getattr(vae, name, None) is not None:
            setattr(vae, name, torch.nn.Identity())


def _check_statistics(folder: ModelFolder, role: Role, vae: Any) -> None:
    """Where FLUX.2's VAE is replaced by one without a batch norm, what stands in for that is found
    by trying the VAE out, which takes its weights (W52)."""
    if vae is not None and family_of(folder.pipeline).vae_hook == FLUX_2 and not hasattr(vae, "bn"):
        raise ModelNotLoadable(
            f"--role {role}: {folder.pipeline}: its VAE, {type(vae).__name__}, has no batch norm; "
            "serve it with --role monolithic"
        )


def _parameters(kind: Any) -> frozenset[str]:
    return frozenset(inspect.signature(kind.__init__).parameters)
