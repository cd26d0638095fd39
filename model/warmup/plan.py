"""Which requests make this model warm (W10 to W18): sizes, frames, batch sizes and tasks from the
settings, else from the model's own defaults; built by the same builder as users' requests.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from ..contract.generation import GenerationRequest
from ..contract.roles import Role
from ..contract.sampling import ModelDescription, Shape, Task
from ..contract.warmup import Resolution
from ..errors import InvalidRequest, InvalidSettings
from ..pipelines.families import family_of
from ..pipelines.requests import Ask, build_request
from ..settings import Settings
from . import pictures
from .checks import check_plan

# W13: some models refuse an empty prompt.
PLACEHOLDER: Final = "warmup"
# W12: the first step and later ones take different paths.
LEAST_STEPS: Final = 2
# W11: a video of the model's default size takes minutes on every pass.
LARGEST_VIDEO: Final = Resolution(832, 480)
MOST_FRAMES: Final = 17
# Of an input picture, where neither the model nor the settings say: diffusers' own usual default.
USUAL_STRENGTH: Final = 0.8
# The settings that may have given a field of a request its value.
SETTINGS_BEHIND: Final = {
    "width": ("warmup_resolutions",),
    "height": ("warmup_resolutions",),
    "image": ("warmup_resolutions",),
    "video": ("warmup_resolutions",),
    "num_frames": ("warmup_num_frames", "warmup_batch_sizes"),
    "prompt": ("warmup_batch_sizes",),
    "num_inference_steps": ("warmup_sampling_params", "warmup_steps"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """One shape that shall be warm. ``frames`` is 1 for pictures."""

    task: Task
    width: int
    height: int
    frames: int
    batch: int

    @classmethod
    def of(cls, shape: Shape) -> Self:
        return cls(shape.task, shape.width, shape.height, shape.frames, shape.batch)

    def __str__(self) -> str:
        frames = f"x{self.frames}" if self.frames > 1 else ""
        return f"{self.task} {self.width}x{self.height}{frames} batch {self.batch}"


def build_plan(model: ModelDescription, settings: Settings) -> tuple[GenerationRequest, ...]:
    """One request for each shape that must be warm.

    Raises:
        InvalidSettings: the settings of the plan do not fit the model.
        InvalidRequest: the model's defaults contradict each other (a size that is not aligned).
    """
    check_plan(model, settings)
    return tuple(warmup_request(each, model, settings) for each in targets(model, settings))


def targets(model: ModelDescription, settings: Settings) -> tuple[Target, ...]:
    """Sizes x frames x batch sizes x tasks, each once; the model's own default shape comes first,
    so that a failure of the most usual request is told first."""
    tasks = settings.warmup_tasks or model.tasks[: model.own_tasks]
    found = itertools.chain.from_iterable(
        _targets_of(task, batch, model, settings)
        for batch in settings.warmup_batch_sizes
        for task in tasks
    )
    usual = next(_targets_of(model.tasks[0], 1, model, Settings()))
    return tuple(sorted(dict.fromkeys(found), key=lambda each: each != usual))


def warmup_request(
    target: Target, model: ModelDescription, settings: Settings
) -> GenerationRequest:
    """The request that warms ``target`` up.

    Raises:
        InvalidSettings: a value from the settings is out of its bounds.
        InvalidRequest: a default of the model is.
    """
    ask = Ask(
        prompts=(PLACEHOLDER,) * target.batch,
        parameters=_parameters(target, model, settings),
        id=f"warmup-{str(target).replace(' ', '-')}",
        **_negative_prompts(target.task, model, settings),
        **_inputs(target, model),
    )
    try:
        request = build_request(ask, model, settings)
    except InvalidRequest as error:
        blamed = _setting_behind(error.field, settings)
        if blamed is None:
            raise
        raise InvalidSettings(f"{blamed}: {target}: {error}") from error
    previews = int(previewed(request, model, settings))
    return replace(request, warmup=True, deadline=None, previews=previews)


def previewed(request: GenerationRequest, model: ModelDescription, settings: Settings) -> bool:
    """Whether a user may look at such a picture before it is done: that has to be warm, too."""
    whole = settings.role is Role.MONOLITHIC  # elsewhere who draws has no VAE to look by
    known = family_of(model.pipeline).latents is not None and model.cancellable
    alone = request.pictures == 1 and request.sampling.num_inference_steps > 1
    return (
        whole
        and known
        and alone
        and settings.max_partial_images > 0
        and not request.task.makes_video
    )


def warmup_steps(asked: int, settings: Settings, strength: float | None = None) -> int:
    """W12: min(asked, max(warmup_steps, 2)), and as many more as leave that many where only the
    part ``strength`` of all steps is run."""
    run = min(asked, max(settings.warmup_steps, LEAST_STEPS))
    if strength is None or not 0 < strength <= 1:
        return run  # out of bounds: the builder of requests refuses it by name
    steps = math.ceil(run / strength)
    return steps if int(steps * strength) >= run else steps + 1


def first_request_copy(request: GenerationRequest, settings: Settings) -> GenerationRequest:
    """W06: a bounded copy of a user's request, with an id of its own."""
    sampling = request.sampling
    most = sampling.num_inference_steps
    steps = min(most, warmup_steps(most, settings, sampling.strength))
    return replace(
        request,
        id=f"warmup-{request.id}",
        sampling=replace(sampling, num_inference_steps=steps),
        warmup=True,
        previews=min(request.previews, 1),
    )


def _setting_behind(field: str, settings: Settings) -> str | None:
    """The setting that gave a field of the request its value; None where the model did."""
    if field in settings.warmup_sampling_params:
        return "warmup_sampling_params"
    defaults = Settings()
    for name in SETTINGS_BEHIND.get(field, ()):
        if getattr(settings, name) != getattr(defaults, name):
            return name
    return None


def _targets_of(
    task: Task, batch: int, model: ModelDescription, settings: Settings
) -> Iterator[Target]:
    frames = _frames(task, model, settings)
    for size in settings.warmup_resolutions or (_default_size(task, model),):
        # A task that takes one prompt a request has no other batch that could be asked for.
        yield Target(task, size.width, size.height, frames, _batch(task, batch, model))


def _batch(task: Task, batch: int, model: ModelDescription) -> int:
    return 1 if task in model.unbatched else batch


def _default_size(task: Task, model: ModelDescription) -> Resolution:
    """W11: pictures in full; videos within 832x480 in area, with the model's aspect ratio."""
    own = Resolution(model.defaults.width, model.defaults.height)
    if not task.makes_video or own.area <= LARGEST_VIDEO.area:
        return own
    return scaled(own, math.sqrt(LARGEST_VIDEO.area / own.area), model.alignment)


def scaled(size: Resolution, factor: float, alignment: int) -> Resolution:
    """Both sides by ``factor``, rounded down to the alignment; at least one unit of it."""
    sides = (max(1, int(side * factor) // alignment) for side in (size.width, size.height))
    return Resolution(*(side * alignment for side in sides))


def _frames(task: Task, model: ModelDescription, settings: Settings) -> int:
    """W11: at most 17 unless asked for more; then fitted to what the model can code."""
    if not task.makes_video or model.frames is None:
        return 1
    if settings.warmup_num_frames is not None:
        return settings.warmup_num_frames
    return model.frames.fitted(min(model.defaults.num_frames or MOST_FRAMES, MOST_FRAMES))


def _parameters(target: Target, model: ModelDescription, settings: Settings) -> dict[str, Any]:
    accepted = model.accepted[target.task]
    overrides = {
        name: value for name, value in settings.warmup_sampling_params.items() if name in accepted
    }
    overrides.pop("negative_prompt", None)
    found: dict[str, Any] = {"width": target.width, "height": target.height, "seed": 0, **overrides}
    strength = None
    if "strength" in accepted and (target.task.takes_image or target.task.takes_video):
        usual = model.defaults.strength
        strength = overrides.get("strength", USUAL_STRENGTH if usual is None else usual)
        found["strength"] = strength
    if target.task.makes_video and "num_frames" in accepted:
        found["num_frames"] = target.frames
    # Some calls have a fixed number of steps.
    if "num_inference_steps" in accepted:
        asked = model.defaults.num_inference_steps
        found["num_inference_steps"] = warmup_steps(asked, settings, strength)
    return found


def _negative_prompts(task: Task, model: ModelDescription, settings: Settings) -> dict[str, Any]:
    text = settings.warmup_sampling_params.get("negative_prompt")
    if text is None or "negative_prompt" not in model.accepted[task]:
        return {}
    return {"negative_prompts": (text,)}


def _inputs(target: Target, model: ModelDescription) -> dict[str, Any]:
    """W15, W16: what the task takes besides the prompt, in the size of the output: what users give
    has it, or is brought to it."""
    height, width = target.height, target.width
    found: dict[str, Any] = {}
    if target.task.takes_image:
        found["images"] = (pictures.picture(height, width),) * model.images_in
    if "mask" in target.task.inputs:
        found["masks"] = (pictures.mask(height, width),)
    if "last_image" in target.task.inputs:
        found["last_images"] = (pictures.picture(height, width),)
    if target.task.takes_video:
        found["videos"] = (pictures.video(target.frames, height, width),)
    return found
