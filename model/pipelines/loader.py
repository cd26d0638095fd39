"""Load a diffusers folder and describe what was loaded. Imports torch: engine process only."""

import inspect
import time
from dataclasses import dataclass
from typing import Any, Final

import diffusers
import torch
from diffusers.utils.logging import disable_progress_bar

from ..contract.sampling import ModelDescription, Task
from ..errors import ModelNotLoadable
from .defaults import resolve_defaults
from .families import Family, family_of, siblings_of
from .location import ModelFolder

# W11: the least common multiple that the field's models and VAEs accept.
LEAST_ALIGNMENT: Final = 16
DTYPES: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
SAMPLING_PARAMETERS: Final = frozenset(
    {
        "negative_prompt",
        "width",
        "height",
        "num_inference_steps",
        "guidance_scale",
        "true_cfg_scale",
        "num_images_per_prompt",
        "strength",
        "max_sequence_length",
    }
)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """``pipelines``: one diffusers pipeline for each task, all sharing their components."""

    pipelines: dict[Task, Any]
    description: ModelDescription


def load(folder: ModelFolder, device: str, dtype: str) -> LoadedModel:
    """Load the pipeline onto the device, and find the tasks that its components serve.

    Raises:
        ModelNotLoadable: broken files, an unknown class, or a device that is not there.
    """
    place = resolve_device(device)
    kind = DTYPES[("float32" if place.type == "cpu" else "bfloat16") if dtype == "auto" else dtype]
    disable_progress_bar()
    started = time.perf_counter()
    pipeline = _read(folder, kind)
    read = time.perf_counter()
    try:
        pipeline.to(place)
    except torch.OutOfMemoryError as error:
        raise ModelNotLoadable(f"the model does not fit into {place}'s memory") from error
    moved = time.perf_counter()
    pipeline.set_progress_bar_config(disable=True)
    family = family_of(folder.pipeline)
    pipelines = _by_task(pipeline, family, folder.pipeline)
    description = ModelDescription(
        pipeline=folder.pipeline,
        family=family.name,
        tasks=tuple(pipelines),
        defaults=resolve_defaults(folder.path, family, native_size(pipeline)),
        alignment=alignment(pipeline),
        accepted={task: _accepted(each) for task, each in pipelines.items()},
        cancellable="callback_on_step_end" in _parameters(pipeline),
        device=str(place),
        dtype=str(kind).removeprefix("torch."),
        revision=folder.revision,
        guidance_embedded=family.guidance_embedded,
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


def alignment(pipeline: Any) -> int:
    """W11: max(16, VAE spatial factor x patch), in pixels."""
    patch = getattr(getattr(_denoiser(pipeline), "config", None), "patch_size", 1)
    whole = patch if isinstance(patch, int) else max(patch)
    return max(LEAST_ALIGNMENT, vae_factor(pipeline) * whole)


def vae_factor(pipeline: Any) -> int:
    """Pixels for each latent cell, along a side."""
    return int(getattr(pipeline, "vae_scale_factor", 8))


def _denoiser(pipeline: Any) -> Any:
    return getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)


def _read(folder: ModelFolder, kind: torch.dtype) -> Any:
    try:
        return diffusers.DiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
            folder.path,
            dtype=kind,
            use_safetensors=True,
            local_files_only=True,
        )
    # diffusers, transformers and safetensors raise a dozen unrelated types for broken files.
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise ModelNotLoadable(
            f"{folder.pipeline} cannot be loaded from {folder.path.name!r}: "
            f"{type(error).__name__}: {first[:300]}"
        ) from error


def _by_task(pipeline: Any, family: Family, name: str) -> dict[Task, Any]:
    own = family.pipelines.get(name, _task_by_signature(pipeline))
    found = {own: pipeline}
    if own is not Task.TEXT_TO_IMAGE:
        return found
    for sibling_class, task in siblings_of(name).items():
        # Not diffusers' AutoPipeline: its import imports every pipeline there is, for a second.
        sibling = _sibling(getattr(diffusers, sibling_class), pipeline)
        sibling.set_progress_bar_config(disable=True)
        found[task] = sibling
    return found


def _sibling(kind: Any, pipeline: Any) -> Any:
    """Another pipeline of the same components and flags (``requires_safety_checker``, ...)."""
    wanted = inspect.signature(kind.__init__).parameters
    flags = {name: value for name, value in pipeline.config.items() if name in wanted}
    return kind(**{**flags, **pipeline.components})


def _task_by_signature(pipeline: Any) -> Task:
    parameters = inspect.signature(pipeline.__call__).parameters
    needed = {
        name
        for name in ("image", "mask_image")
        if name in parameters and parameters[name].default is inspect.Parameter.empty
    }
    if "mask_image" in needed:
        return Task.INPAINTING
    return Task.IMAGE_TO_IMAGE if "image" in needed else Task.TEXT_TO_IMAGE


def _parameters(pipeline: Any) -> frozenset[str]:
    return frozenset(inspect.signature(pipeline.__call__).parameters)


def _accepted(pipeline: Any) -> frozenset[str]:
    return _parameters(pipeline) & SAMPLING_PARAMETERS
