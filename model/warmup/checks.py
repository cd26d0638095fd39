"""W04: whether the settings of the plan fit the model. What the settings alone tell is refused
before anything starts; this is the rest, and it is told as soon as the model is described.
"""

from ..contract.sampling import ModelDescription, Task
from ..errors import InvalidSettings
from ..pipelines.guidance import check_guided
from ..settings import Settings


def check_plan(model: ModelDescription, settings: Settings) -> None:
    """Return when every setting of the plan fits.

    Raises:
        InvalidSettings: naming the setting, and how to mend it.
    """
    _check_tasks(model, settings)
    tasks = settings.warmup_tasks or model.tasks[: model.own_tasks]
    _check_resolutions(model, settings)
    _check_frames(model, settings, tasks)
    _check_batches(model, settings, tasks)
    _check_sampling(model, settings, tasks)
    if settings.cfg_parallel:
        check_guided(model, settings.warmup_sampling_params)


def _check_tasks(model: ModelDescription, settings: Settings) -> None:
    lacking = [each for each in settings.warmup_tasks if each not in model.tasks]
    if lacking:
        raise InvalidSettings(
            f"warmup_tasks: {model.pipeline} does not do {', '.join(lacking)}; it does "
            f"{', '.join(model.tasks)}"
        )


def _check_resolutions(model: ModelDescription, settings: Settings) -> None:
    unit = model.alignment
    for each in settings.warmup_resolutions:
        if each.width % unit or each.height % unit:
            near = "x".join(
                str(max(1, round(side / unit)) * unit) for side in (each.width, each.height)
            )
            raise InvalidSettings(
                f"warmup_resolutions: {each}: both sides must be multiples of {unit} for this "
                f"model, such as {near}"
            )


def _check_frames(model: ModelDescription, settings: Settings, tasks: tuple[Task, ...]) -> None:
    frames = settings.warmup_num_frames
    if frames is None:
        return
    if model.frames is None or not any(task.makes_video for task in tasks):
        raise InvalidSettings(
            f"warmup_num_frames: {model.pipeline} draws pictures here, which have no frames; leave "
            "it out"
        )
    if not model.frames.fits(frames):
        step = model.frames.step
        raise InvalidSettings(
            f"warmup_num_frames: {frames} does not fit this model, whose videos have a multiple of "
            f"{step} and 1 frames, such as {model.frames.fitted(frames)}"
        )


def _check_batches(model: ModelDescription, settings: Settings, tasks: tuple[Task, ...]) -> None:
    largest = max(settings.warmup_batch_sizes)
    if largest > 1 and model.unbatched.issuperset(tasks):
        raise InvalidSettings(
            f"warmup_batch_sizes: {model.pipeline} takes one prompt a request for "
            f"{', '.join(tasks)}, so {largest} cannot be asked for; leave it out"
        )


def _check_sampling(model: ModelDescription, settings: Settings, tasks: tuple[Task, ...]) -> None:
    """A value that no planned request takes would be lost in silence."""
    for name in settings.warmup_sampling_params:
        if not any(name in model.accepted[task] for task in tasks):
            raise InvalidSettings(
                f"warmup_sampling_params: {name}: {model.pipeline} does not take it for "
                f"{', '.join(tasks)}; leave it out"
            )
