"""Describe a model from its folder alone, before its weights are read and without torch: what
``python -m model plan`` and ``doctor`` go by. The engine describes what it loaded by itself.

The configurations of the components tell sizes; the call of the pipeline's class is read from
diffusers' source, since importing it takes torch and seconds.
"""

import ast
import importlib.util
import itertools
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ..contract.sampling import FrameContract, ModelDescription, Task
from .defaults import read_json, resolve_defaults
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
from .signature import NAMES, accepted_by, unbatched

# W11: the least common multiple that the field's models and VAEs accept.
LEAST_ALIGNMENT: Final = 16
USUAL_FACTOR: Final = 8
DENOISERS: Final = ("unet", "transformer")


def describe_folder(folder: ModelFolder) -> ModelDescription:
    """What will be known of the model once it is loaded, as far as its files tell. A sibling class
    may turn out to need a component that the folder has not; its tasks are listed all the same.

    Raises:
        ModelNotLoadable: a configuration is no JSON object, or the class does nothing with weights
            that are configured so.
    """
    family = family_of(folder.pipeline)
    own = class_of(folder.pipeline) or PipelineClass((Task.TEXT_TO_IMAGE,))
    index = read_json(folder.path / "model_index.json")
    denoiser = next((_config(folder, name) for name in DENOISERS if _config(folder, name)), {})
    vae = _config(folder, "vae")
    flag = family.guidance_unless

    def told(component: str, name: str) -> Any:
        return (_config(folder, component) if component else index).get(name)

    tasks = own_tasks_of(folder.pipeline, own, told)
    video = tasks[0].makes_video
    step = (_temporal(vae) or family.frame_step or 1) * family.latent_frames
    classes = dict.fromkeys(tasks, (folder.pipeline, own))
    for name, known in siblings_of(folder.pipeline).items():
        if not known.sibling_if or index.get(known.sibling_if):
            classes.update(dict.fromkeys(tasks_of(known, told), (name, known)))
    return ModelDescription(
        pipeline=folder.pipeline,
        family=family.name,
        tasks=tuple(classes),
        defaults=resolve_defaults(
            folder.path, family, _native_size(folder.pipeline, denoiser, vae), video=video
        ),
        alignment=_alignment(family, denoiser, vae),
        accepted={task: _accepted(*known, task) for task, known in classes.items()},
        cancellable="callback_on_step_end" in call_of(folder.pipeline),
        device="",
        dtype="",
        revision=folder.revision,
        guidance_embedded=family.guidance is Guidance.EMBEDDED or bool(flag and index.get(flag)),
        own_tasks=len(tasks),
        least_image_side=family.least_image_side,
        most_image_ratio=family.most_image_ratio,
        images_in=family.images_in,
        most_images_in=family.most_images_in,
        frames=FrameContract(step) if video else None,
        unbatched=frozenset(task for task, (_, known) in classes.items() if unbatched(known, task)),
        cfg_above=family.cfg_above,
        registered=class_of(folder.pipeline) is not None,
    )


def call_of(pipeline_class: str) -> frozenset[str]:
    """The arguments of the class' call, by its source; empty where diffusers has no such class."""
    found = _source_of(pipeline_class)
    for each in ast.walk(found) if found else ():
        if isinstance(each, ast.FunctionDef) and each.name == "__call__":
            return frozenset(name.arg for name in (*each.args.args, *each.args.kwonlyargs))
    return frozenset()


@lru_cache(maxsize=8)
def _source_of(pipeline_class: str) -> ast.ClassDef | None:
    spec = importlib.util.find_spec("diffusers")
    if spec is None or spec.origin is None:
        return None
    heading = f"class {pipeline_class}("
    for path in sorted((Path(spec.origin).parent / "pipelines").rglob("pipeline_*.py")):
        text = path.read_text(encoding="utf-8")
        if heading in text:
            classes = (each for each in ast.parse(text).body if isinstance(each, ast.ClassDef))
            return next((each for each in classes if each.name == pipeline_class), None)
    return None


def _accepted(pipeline_class: str, known: PipelineClass, task: Task) -> frozenset[str]:
    # Of a class that diffusers does not have, nothing is known: it may take anything.
    anything = itertools.chain.from_iterable(NAMES.values())
    return accepted_by(known, call_of(pipeline_class) or frozenset(anything), task)


def _native_size(
    pipeline_class: str, denoiser: dict[str, Any], vae: dict[str, Any]
) -> tuple[int, int] | None:
    size = _default_sample_size(pipeline_class) or denoiser.get("sample_size")
    factor = _spatial(vae) or USUAL_FACTOR
    if isinstance(size, int):
        return size * factor, size * factor
    if isinstance(size, list) and len(size) == 2:
        return size[1] * factor, size[0] * factor
    return None


def _default_sample_size(pipeline_class: str) -> int | None:
    """The number that some classes set themselves."""
    found = _source_of(pipeline_class)
    for each in ast.walk(found) if found else ():
        if (
            isinstance(each, ast.Assign)
            and isinstance(target := each.targets[0], ast.Attribute)
            and target.attr == "default_sample_size"
            and isinstance(each.value, ast.Constant)
            and isinstance(each.value.value, int)
        ):
            return int(each.value.value)
    return None


def _alignment(family: Family, denoiser: dict[str, Any], vae: dict[str, Any]) -> int:
    patch = denoiser.get("patch_size") or 1
    whole = patch if isinstance(patch, int) else max(patch)
    return max(LEAST_ALIGNMENT, family.alignment, (_spatial(vae) or USUAL_FACTOR) * whole)


def _spatial(vae: dict[str, Any]) -> int | None:
    """Pixels for each latent cell: what the VAE says, else how often its blocks halve them."""
    told = vae.get("scale_factor_spatial") or vae.get("spatial_compression_ratio")
    if told:
        return int(told)
    if scaling := vae.get("spatio_temporal_scaling"):
        return int((vae.get("patch_size") or 1) * 2 ** sum(scaling))
    if halvings := vae.get("temperal_downsample"):
        return int(2 ** len(halvings))
    if blocks := vae.get("block_out_channels"):
        return int(2 ** (len(blocks) - 1))
    return None


def _temporal(vae: dict[str, Any]) -> int | None:
    """Frames for each latent frame."""
    told = vae.get("scale_factor_temporal") or vae.get("temporal_compression_ratio")
    if told:
        return int(told)
    if scaling := vae.get("spatio_temporal_scaling"):
        return int((vae.get("patch_size_t") or 1) * 2 ** sum(scaling))
    if halvings := vae.get("temperal_downsample"):
        return int(2 ** sum(halvings))
    return None


def _config(folder: ModelFolder, component: str) -> dict[str, Any]:
    path = folder.path / component / "config.json"
    return read_json(path) if path.is_file() else {}
