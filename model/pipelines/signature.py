"""What a pipeline's call takes: the request parameters that it knows, and, for a class that is in
no table, what it seems to be for. Imports no torch.
"""

import inspect
from typing import Any, Final

from ..contract.sampling import Task
from ..errors import ModelNotLoadable
from .families import Pictures, PipelineClass, class_of

# What requests call it -> what calls do. The first that a call knows is the one that it gets.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "negative_prompt": ("negative_prompt",),
    "width": ("width",),
    "height": ("height",),
    "num_inference_steps": ("num_inference_steps",),
    "guidance_scale": ("guidance_scale",),
    "true_cfg_scale": ("true_cfg_scale",),
    "num_images_per_prompt": ("num_images_per_prompt", "num_videos_per_prompt"),
    "strength": ("strength",),
    "max_sequence_length": ("max_sequence_length",),
    "num_frames": ("num_frames",),
    "fps": ("frame_rate", "fps"),
}


def parameters_of(pipeline: Any) -> frozenset[str]:
    """The names of the call's arguments."""
    return frozenset(inspect.signature(pipeline.__call__).parameters)


def call_name(parameter: str, known: frozenset[str]) -> str | None:
    """The call's own name of a request parameter; None where it has none."""
    return next((name for name in NAMES[parameter] if name in known), None)


def class_facts(pipeline: Any) -> PipelineClass:
    """What the table says of the pipeline's class; what its call says, where the table is silent.

    Raises:
        ModelNotLoadable: as ``by_signature``.
    """
    return class_of(type(pipeline).__name__) or by_signature(pipeline)


def unbatched(facts: PipelineClass, task: Task) -> bool:
    """Whether a request for ``task`` may have one prompt only: its pictures are not told apart by
    prompt, or its video would have to be held several times."""
    return task.takes_video or (task.takes_image and facts.pictures is not Pictures.EACH)


def accepted(pipeline: Any, task: Task) -> frozenset[str]:
    """The parameters that a request for ``task`` may name."""
    return accepted_by(class_facts(pipeline), parameters_of(pipeline), task)


def accepted_by(facts: PipelineClass, known: frozenset[str], task: Task) -> frozenset[str]:
    """As ``accepted``, of a class whose call has the arguments ``known``."""
    found = {name for name in NAMES if call_name(name, known)} - facts.hides
    # Of an input video, some calls draw one copy in silence, whatever they are told.
    if task.takes_video or (task.takes_image and facts.pictures is Pictures.ONE):
        found.discard("num_images_per_prompt")
    if not (task.takes_image or task.takes_video):
        found.discard("strength")
    if task.makes_video:
        found.add("fps")  # the encoder takes it, where the call does not
    if task.takes_video:
        found.add("num_frames")  # the input is cut to it
    return frozenset(found)


def by_signature(pipeline: Any) -> PipelineClass:
    """What a class seems to be for, by its call.

    Raises:
        ModelNotLoadable: it needs an input that requests do not have.
    """
    parameters = inspect.signature(pipeline.__call__).parameters
    needed = {
        name
        for name, each in parameters.items()
        if each.default is inspect.Parameter.empty
        and each.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    }
    if "video" in parameters and "num_frames" not in parameters:
        needed.add("video")  # it may be None for latents' sake only
    unknown = sorted(needed - {"prompt", "image", "mask_image", "video"} - set(NAMES))
    if unknown:
        raise ModelNotLoadable(
            f"{type(pipeline).__name__} needs {', '.join(unknown)}, which requests do not have"
        )
    if "video" in needed:
        if "image" in needed:
            raise ModelNotLoadable(
                f"{type(pipeline).__name__} needs a video and an image, which requests do not have "
                "together"
            )
        return PipelineClass((Task.VIDEO_TO_VIDEO,), Pictures.ONE)
    if "num_frames" in parameters:
        image = "image" in needed
        return PipelineClass((Task.IMAGE_TO_VIDEO if image else Task.TEXT_TO_VIDEO,), Pictures.ONE)
    if "mask_image" in parameters:
        return PipelineClass((Task.INPAINTING,))
    # With a strength there is a picture that it is the strength of, even where it may be None.
    image = "image" in needed or {"image", "strength"} <= parameters.keys()
    return PipelineClass((Task.IMAGE_TO_IMAGE if image else Task.TEXT_TO_IMAGE,))
