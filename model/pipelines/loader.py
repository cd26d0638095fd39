"""Load a diffusers folder, or a role's part of it, and describe what was loaded. Imports torch:
engine process only.
"""

import importlib.util
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import diffusers
import torch
from diffusers.utils.logging import disable_progress_bar

from ..contract.roles import WORKERS, Role
from ..contract.sampling import FrameContract, ModelDescription, Task
from ..errors import ModelNotLoadable
from ..telemetry.logs import get_logger
from .defaults import resolve_defaults
from .families import (
    Family,
    Guidance,
    PipelineClass,
    class_of,
    family_of,
    own_tasks_of,
    siblings_of,
    tasks_of,
)
from .location import ModelFolder
from .role_parts import drop_other_half, lent_parts, move
from .signature import accepted, class_facts, parameters_of, unbatched
from .vae import adapt_vae

log = get_logger(__name__)

# W11: the least common multiple that the field's models and VAEs accept.
LEAST_ALIGNMENT: Final = 16
DTYPES: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
# What pipelines call the ratio of pixels to latents, along a side and along time.
SPATIAL_FACTORS: Final = (
    "vae_scale_factor",
    "vae_scale_factor_spatial",
    "vae_spatial_compression_ratio",
)
TEMPORAL_FACTORS: Final = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """``pipelines``: one diffusers pipeline for each task, all sharing their components."""

    pipelines: dict[Task, Any]
    description: ModelDescription


def load(folder: ModelFolder, device: str, dtype: str, role: Role = Role.MONOLITHIC) -> LoadedModel:
    """Load the pipeline onto the device, and find the tasks that its components serve. A worker
    role's pipeline has the weights of the role's components only.

    Raises:
        ModelNotLoadable: broken files, an unknown class, a device that is not there, or a pipeline
            that cannot be cut into roles.
    """
    _check_packages(folder.pipeline)
    place = resolve_device(device)
    kind = DTYPES[("float32" if place.type == "cpu" else "bfloat16") if dtype == "auto" else dtype]
    disable_progress_bar()
    started = time.perf_counter()
    lent = lent_parts(folder, role, kind, place) if role in WORKERS else {}
    pipeline = _read(folder, kind, lent)
    read = time.perf_counter()
    try:
        move(pipeline, place)
    except torch.OutOfMemoryError as error:
        raise ModelNotLoadable(f"the model does not fit into {place}'s memory") from error
    moved = time.perf_counter()
    pipeline.set_progress_bar_config(disable=True)
    family = family_of(folder.pipeline)
    own = class_facts(pipeline)
    registered = class_of(folder.pipeline) is not None
    if not registered:
        log.warning("pipeline_not_registered", pipeline=folder.pipeline, tasks=[*own.tasks])
    adapt_vae(pipeline, family)
    drop_other_half(pipeline, role)
    tasks = own_tasks_of(folder.pipeline, own, _flags(pipeline))
    pipelines = _by_task(pipeline, tasks, folder.pipeline, frozenset(lent))
    description = ModelDescription(
        pipeline=folder.pipeline,
        family=family.name,
        tasks=tuple(pipelines),
        defaults=resolve_defaults(
            folder.path, family, native_size(pipeline), video=tasks[0].makes_video
        ),
        alignment=alignment(pipeline, family),
        accepted={task: accepted(each, task) for task, each in pipelines.items()},
        cancellable="callback_on_step_end" in parameters_of(pipeline),
        device=str(place),
        dtype=str(kind).removeprefix("torch."),
        revision=folder.revision,
        guidance_embedded=_guidance_embedded(pipeline, family),
        own_tasks=len(tasks),
        least_image_side=family.least_image_side,
        most_image_ratio=family.most_image_ratio,
        images_in=family.images_in,
        most_images_in=family.most_images_in,
        frames=frame_contract(pipeline, family, tasks[0]),
        unbatched=frozenset(
            task for task, each in pipelines.items() if unbatched(class_facts(each), task)
        ),
        cfg_above=family.cfg_above,
        registered=registered,
        load_seconds={"read": round(read - started, 3), "move": round(moved - read, 3)},
    )
    return LoadedModel(pipelines, description)


def resolve_device(device: str) -> torch.device:
    """``auto`` is the first GPU, or the CPU.

    Raises:
        ModelNotLoadable: the device is not there.
    """
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    place = torch.device(device)
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise ModelNotLoadable(
            f"device {device!r} is not there: torch sees {torch.cuda.device_count()} GPUs; "
            "use --device cpu, or give the container a GPU"
        )
    if place.type == "mps" and not torch.backends.mps.is_available():
        raise ModelNotLoadable("device 'mps' is not there; use --device cpu")
    return place


def native_size(pipeline: Any) -> tuple[int, int] | None:
    """(width, height) in pixels that the denoiser was trained at, where it says so (W11)."""
    denoiser = _denoiser(pipeline)
    size = getattr(pipeline, "default_sample_size", None)
    size = size or getattr(getattr(denoiser, "config", None), "sample_size", None)
    factor = vae_factor(pipeline)
    if isinstance(size, int):
        return size * factor, size * factor
    if isinstance(size, list | tuple) and len(size) == 2:
        return size[1] * factor, size[0] * factor
    return None


def alignment(pipeline: Any, family: Family) -> int:
    """W11: max(16, VAE spatial factor x patch, what the family needs), in pixels."""
    patch = getattr(getattr(_denoiser(pipeline), "config", None), "patch_size", None) or 1
    whole = patch if isinstance(patch, int) else max(patch)
    return max(LEAST_ALIGNMENT, family.alignment, vae_factor(pipeline) * whole)


def frame_contract(pipeline: Any, family: Family, task: Task) -> FrameContract | None:
    """By the VAE's own temporal factor, else by the family's; None for a model of pictures."""
    if not task.makes_video:
        return None
    step = _first(pipeline, TEMPORAL_FACTORS) or family.frame_step or 1
    return FrameContract(step * family.latent_frames)


def vae_factor(pipeline: Any) -> int:
    """Pixels for each latent cell, along a side."""
    return _first(pipeline, SPATIAL_FACTORS) or 8


def _first(pipeline: Any, names: tuple[str, ...]) -> int | None:
    found = (getattr(pipeline, name, None) for name in names)
    return next((int(each) for each in found if each), None)


def _denoiser(pipeline: Any) -> Any:
    return getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)


def _guidance_embedded(pipeline: Any, family: Family) -> bool:
    """Whether ``guidance_scale`` never runs a second pass."""
    flag = family.guidance_unless
    return family.guidance is Guidance.EMBEDDED or bool(flag and pipeline.config[flag])


def _check_packages(pipeline_class: str) -> None:
    known = class_of(pipeline_class)
    missing = _missing_packages(known) if known else ()
    if missing:
        raise ModelNotLoadable(
            f"{pipeline_class} needs the Python package {' and '.join(missing)}, which is not "
            "installed"
        )


def _missing_packages(known: PipelineClass) -> tuple[str, ...]:
    return tuple(each for each in known.needs if importlib.util.find_spec(each) is None)


def _read(folder: ModelFolder, kind: torch.dtype, lent: Mapping[str, Any]) -> Any:
    # The class itself is asked for, where there is something to give it: the general one would load
    # its optional components all the same.
    reader = getattr(diffusers, folder.pipeline) if lent else diffusers.DiffusionPipeline
    try:
        return reader.from_pretrained(
            folder.path,
            dtype=kind,
            use_safetensors=True,
            local_files_only=True,
            **lent,
        )
    # diffusers, transformers and safetensors raise a dozen unrelated types for broken files.
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise ModelNotLoadable(
            f"{folder.pipeline} cannot be loaded from {folder.path.name!r}: "
            f"{type(error).__name__}: {first[:300]}"
        ) from error


def _flags(pipeline: Any) -> Callable[[str, str], Any]:
    """What the configurations of the pipeline and of its components say."""

    def flag(component: str, name: str) -> Any:
        part = getattr(pipeline, component, None) if component else pipeline
        return getattr(part, "config", {}).get(name)

    return flag


def _by_task(
    pipeline: Any, tasks: tuple[Task, ...], name: str, elsewhere: frozenset[str] = frozenset()
) -> dict[Task, Any]:
    """``elsewhere``: components that other roles have."""
    found = dict.fromkeys(tasks, pipeline)
    for sibling_name, known in siblings_of(name).items():
        # Not diffusers' AutoPipeline: its import imports every pipeline there is, for a second.
        kind = getattr(diffusers, sibling_name)
        if known.sibling_if and not pipeline.config[known.sibling_if]:
            continue
        tasks = tasks_of(known, _flags(pipeline))
        if not tasks:
            continue
        missing = (*sorted(_lacks(kind, pipeline) - elsewhere), *_missing_packages(known))
        if missing:
            log.warning("task_not_offered", tasks=[*tasks], missing=missing)
            continue
        sibling = _sibling(kind, pipeline)
        sibling.set_progress_bar_config(disable=True)
        found.update(dict.fromkeys(tasks, sibling))
    return found


def _lacks(kind: Any, pipeline: Any) -> frozenset[str]:
    """The components that ``kind`` must have and ``pipeline`` has not."""
    needed = {
        name
        for name, each in inspect.signature(kind.__init__).parameters.items()
        if name != "self" and each.default is inspect.Parameter.empty
    }
    lent = {name for name, component in pipeline.components.items() if component is not None}
    return frozenset(needed - lent - set(kind._optional_components))


def _sibling(kind: Any, pipeline: Any) -> Any:
    """Another pipeline of the same components and flags (``requires_safety_checker``, ...)."""
    wanted = inspect.signature(kind.__init__).parameters
    optional = dict.fromkeys(kind._optional_components)
    given = {**optional, **pipeline.config, **pipeline.components}
    return kind(**{name: value for name, value in given.items() if name in wanted})
