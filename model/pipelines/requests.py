"""Turn what a client asked for into one ``GenerationRequest``: defaults filled in, every field
checked against the model that is loaded. Every protocol, and warmup too, comes through here.
"""

import math
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..contract.generation import GenerationRequest, Sampling
from ..contract.sampling import FrameContract, ModelDescription, Task
from ..errors import InvalidRequest
from ..settings import Settings
from .guidance import filled, guided, refuse_unguided
from .parameters import (
    BY_NAME,
    LARGEST_SEED,
    MOST_FPS,
    PICTURE_FORMATS,
    VIDEO_FORMATS,
    VIDEO_ONLY,
    parse_parameters,
)

RANDOM_SEED_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client said. ``images``, ``last_images`` and ``masks`` are decoded: uint8 arrays
    [height, width, 3] and, of masks, [height, width]; ``videos`` are [frames, height, width, 3],
    of ``video_fps`` frames a second where their file says so. ``parameters`` may still hold numbers
    as text.
    """

    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...] | None = None
    images: tuple[Any, ...] = ()
    masks: tuple[Any, ...] = ()
    last_images: tuple[Any, ...] = ()
    videos: tuple[Any, ...] = ()
    video_fps: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


def build_request(ask: Ask, model: ModelDescription, settings: Settings) -> GenerationRequest:
    """Check and complete a request.

    Raises:
        InvalidRequest: the first thing that is wrong, by the name of its field.
    """
    values = parse_parameters(ask.parameters)
    _check_texts(ask, settings)
    task = _task(ask, model)
    _check_accepted(ask, values, model, task)
    _check_pictures(ask, values, model, task)
    _check_video(ask, values)
    defaults = model.defaults.values() | _told_by_video(ask)
    # A call that takes no number of steps has one all the same.
    taken = model.accepted[task] | {"num_inference_steps"}
    known: dict[str, Any] = {
        name: values.get(name, defaults.get(name) if name in taken else None)
        for name in Sampling.__dataclass_fields__
    }
    sampling = Sampling(**{**known, **_size(ask, values, model, settings)})
    _check_steps(sampling, settings)
    if task is Task.FRAMES_TO_VIDEO and sampling.num_frames == 1:
        raise InvalidRequest("num_frames", "is 1, and the first and the last frame are given")
    _check_frames(sampling, model.frames, own="num_frames" not in values and bool(ask.videos))
    copies = values.get("num_images_per_prompt", 1)
    negatives = _negatives(ask, model, task)
    if settings.cfg_parallel:
        negatives = filled(negatives, sampling, len(ask.prompts))
    cfg = guided(sampling, negatives, model)
    if settings.cfg_parallel and not cfg:
        refuse_unguided(model, task)
    seeds = _seeds(values.get("seed"), len(ask.prompts), copies, settings)
    _check_all_frames(sampling, len(seeds), settings)
    return GenerationRequest(
        id=ask.id or uuid.uuid4().hex,
        task=task,
        prompts=ask.prompts,
        sampling=sampling,
        seeds=seeds,
        negative_prompts=negatives,
        num_images_per_prompt=copies,
        images=_spread(ask.images, ask),
        masks=_spread(ask.masks, ask),
        last_images=_spread(ask.last_images, ask),
        videos=tuple(video[: sampling.num_frames] for video in ask.videos),
        deadline=_deadline(values.get("timeout_s"), settings),
        priority=values.get("priority", 0),
        cfg=cfg,
    )


def takes(model: ModelDescription, task: Task, parameter: str) -> bool:
    """Whether a request for ``task`` may name ``parameter``."""
    # Every pipeline takes a size: where its call does not, the input picture has it.
    if parameter in ("width", "height") or not BY_NAME[parameter].sampling:
        return True
    return parameter in model.accepted[task]


def _check_texts(ask: Ask, settings: Settings) -> None:
    if not ask.prompts:
        raise InvalidRequest("prompt", "is missing")
    for name, texts in (("prompt", ask.prompts), ("negative_prompt", ask.negative_prompts or ())):
        for text in texts:
            if name == "prompt" and not text.strip():
                raise InvalidRequest(name, "is empty")
            if "\0" in text:
                raise InvalidRequest(name, "holds a NUL character")
            if not _is_unicode(text):
                raise InvalidRequest(name, "holds half of a surrogate pair, which is no character")
            if len(text) > settings.max_prompt_characters:
                raise InvalidRequest(
                    name,
                    f"has {len(text)} characters; at most {settings.max_prompt_characters} are "
                    "taken",
                )
    _check_count("negative_prompt", ask.negative_prompts, ask)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_count(name: str, found: tuple[Any, ...] | None, ask: Ask) -> None:
    if found is not None and len(found) not in (1, len(ask.prompts)):
        raise InvalidRequest(
            name, f"has {len(found)} elements for {len(ask.prompts)} prompts; give one or each"
        )


def _task(ask: Ask, model: ModelDescription) -> Task:
    """The one task that takes what is given, and needs no more."""
    found = {
        "image": ask.images,
        "mask": ask.masks,
        "last_image": ask.last_images,
        "video": ask.videos,
    }
    given = [name for name, each in found.items() if each]
    for name in ("mask", "last_image"):
        if name in given and not ask.images:
            raise InvalidRequest(name, "needs an image")
    able = f"this model does {', '.join(model.tasks)}"
    fitting = [task for task in model.tasks if task.inputs.issuperset(given)]
    if not fitting:
        foreign = [name for name in given if not any(name in task.inputs for task in model.tasks)]
        if foreign:
            raise InvalidRequest(foreign[-1], f"{able} only")
        raise InvalidRequest(given[-1], f"is not taken together with {given[0]}; {able}")
    task = min(fitting, key=lambda each: len(each.inputs))
    missing = [name for name in found if name in task.inputs and name not in given]
    if missing:
        raise InvalidRequest(missing[0], f"is missing; {able}")
    return task


def _check_accepted(
    ask: Ask, values: Mapping[str, Any], model: ModelDescription, task: Task
) -> None:
    accepted = model.accepted[task]
    if ask.negative_prompts is not None and "negative_prompt" not in accepted:
        raise InvalidRequest("negative_prompt", f"{model.pipeline} does not take it")
    for name in values:
        if name == "strength" and not (ask.images or ask.videos):
            raise InvalidRequest(name, "needs an image")
        if name in VIDEO_ONLY and not task.makes_video:
            raise InvalidRequest(name, "is for video models, and this one draws pictures")
        if not takes(model, task, name):
            raise InvalidRequest(name, f"{model.pipeline} does not take it for {task}")


def _check_pictures(
    ask: Ask, values: Mapping[str, Any], model: ModelDescription, task: Task
) -> None:
    """Input pictures and videos: how many, and how large."""
    if task in model.unbatched:
        if len(ask.prompts) > 1:
            raise InvalidRequest(
                "prompt", f"has {len(ask.prompts)} elements; this model does {task} for one at once"
            )
        if len(ask.images) > model.most_images_in:
            raise InvalidRequest(
                "image", f"has {len(ask.images)} elements; this model takes {model.most_images_in}"
            )
    else:
        _check_count("image", ask.images or None, ask)
        _check_same_size(ask)
    _check_count("mask", ask.masks or None, ask)
    _check_count("last_image", ask.last_images or None, ask)
    if any(each.shape != ask.images[0].shape for each in ask.last_images):
        raise InvalidRequest(
            "last_image", "differs in size from image; name width and height, and both are brought "
            "to it"
        )  # fmt: skip
    for picture in (*ask.images, *ask.videos):
        name = "video" if ask.videos else "image"
        height, width = picture.shape[-3:-1]
        if min(height, width) < model.least_image_side:
            scaled = " once it is scaled" if {"width", "height"} & values.keys() else ""
            raise InvalidRequest(
                name,
                f"has {width}x{height} pixels{scaled}; this model needs at least "
                f"{model.least_image_side} along each side",
            )
        if max(height, width) / min(height, width) > (model.most_image_ratio or math.inf):
            raise InvalidRequest(
                name,
                f"has {width}x{height} pixels; this model takes sides of at most "
                f"{model.most_image_ratio:g} to 1",
            )


def _check_video(ask: Ask, values: Mapping[str, Any]) -> None:
    """One, with as many frames as are asked for, and a rate that can be written again."""
    if not ask.videos:
        return
    if len(ask.videos) > 1:
        raise InvalidRequest("video", f"has {len(ask.videos)} elements; one is taken")
    frames = len(ask.videos[0])
    if values.get("num_frames", 1) > frames:
        raise InvalidRequest(
            "num_frames", f"is {values['num_frames']}, and the input video has {frames}"
        )
    if ask.video_fps is not None and "fps" not in values and not 1 <= ask.video_fps <= MOST_FPS:
        raise InvalidRequest(
            "fps",
            f"of the input video is {ask.video_fps:g}; name the one to draw, from 1 to {MOST_FPS}",
        )


def _told_by_video(ask: Ask) -> dict[str, Any]:
    """What a video says in place of the model's defaults: what comes out is as long."""
    told = {"num_frames": len(ask.videos[0]) if ask.videos else None, "fps": ask.video_fps}
    return {name: value for name, value in told.items() if value is not None}


def _check_same_size(ask: Ask) -> None:
    if len({each.shape for each in ask.images}) > 1:
        raise InvalidRequest(
            "image", "differ in size; name width and height, and they are brought to it"
        )


def _size(
    ask: Ask, values: Mapping[str, Any], model: ModelDescription, settings: Settings
) -> dict[str, int]:
    size = {"width": model.defaults.width, "height": model.defaults.height}
    given, kind = (ask.images, "picture") if ask.images else (ask.videos, "video")
    if given:
        height, width = given[0].shape[-3:-1]
        size = {"width": width, "height": height}
    for name, native in size.items():
        side = values.get(name, native)
        if side % model.alignment:
            origin = "" if name in values else f" (the input {kind} has {side})"
            raise InvalidRequest(
                name, f"must be a multiple of {model.alignment} for this model{origin}"
            )
        size[name] = side
    if size["width"] * size["height"] > settings.max_pixels:
        raise InvalidRequest(
            "width", f"times height is {size['width'] * size['height']} pixels; at most "
            f"{settings.max_pixels} are drawn"
        )  # fmt: skip
    return size


def _check_steps(sampling: Sampling, settings: Settings) -> None:
    steps = sampling.num_inference_steps
    if steps > settings.max_steps:
        raise InvalidRequest("num_inference_steps", f"must be at most {settings.max_steps}")
    strength = sampling.strength
    if strength is not None and int(steps * strength) < 1:
        raise InvalidRequest(
            "strength", f"{strength:g} of {steps} steps is less than one step; raise either"
        )


def _check_frames(sampling: Sampling, contract: FrameContract | None, own: bool) -> None:
    """``own``: it is the number that the input video has."""
    frames = sampling.num_frames
    if frames is None or contract is None or contract.fits(frames):
        return
    below = contract.fitted(frames)
    if own:
        raise InvalidRequest(
            "video",
            f"has {frames} frames; this model takes a multiple of {contract.step}, plus 1: name "
            f"num_frames {below}, and the first {below} are taken",
        )
    raise InvalidRequest(
        "num_frames",
        f"must be a multiple of {contract.step}, plus 1, for this model: {below} or "
        f"{below + contract.step} are nearest to {frames}",
    )


def _check_all_frames(sampling: Sampling, videos: int, settings: Settings) -> None:
    frames = (sampling.num_frames or 0) * videos
    if frames > settings.max_frames:
        raise InvalidRequest(
            "num_frames",
            f"{frames} in all {videos} videos; at most {settings.max_frames} are drawn at once",
        )


def _negatives(ask: Ask, model: ModelDescription, task: Task) -> tuple[str, ...] | None:
    if ask.negative_prompts is not None:
        return _spread(ask.negative_prompts, ask)
    default = model.defaults.negative_prompt
    if default is None or "negative_prompt" not in model.accepted[task]:
        return None
    return (default,) * len(ask.prompts)


def _spread(found: tuple[Any, ...], ask: Ask) -> tuple[Any, ...]:
    """One for all prompts becomes one for each."""
    return found * len(ask.prompts) if len(found) == 1 else found


def _seeds(seed: int | None, prompts: int, copies: int, settings: Settings) -> tuple[int, ...]:
    pictures = prompts * copies
    if pictures > settings.max_images:
        name = "num_images_per_prompt" if copies > 1 else "prompt"
        raise InvalidRequest(
            name, f"asks for {pictures} pictures; at most {settings.max_images} are drawn at once"
        )
    first = secrets.randbits(RANDOM_SEED_BITS) if seed is None else seed
    if first + pictures - 1 > LARGEST_SEED:
        raise InvalidRequest("seed", f"the last picture's would exceed {LARGEST_SEED}")
    return tuple(range(first, first + pictures))


def _deadline(timeout: float | None, settings: Settings) -> float:
    if timeout is not None and timeout > settings.request_timeout:
        raise InvalidRequest("timeout_s", f"must be at most {settings.request_timeout:g}")
    return time.monotonic() + (timeout or settings.request_timeout)


def output_format(task: Task, asked: str | None, settings: Settings) -> str:
    """The format of the answer: what the request says, else the server's default for pictures, and
    mp4 for videos unless that is raw.

    Raises:
        InvalidRequest: it is not one of what the task makes.
    """
    video = task.makes_video
    known = VIDEO_FORMATS if video else PICTURE_FORMATS
    if asked is not None and asked not in known:
        raise InvalidRequest(
            "output_format", f"of {'videos' if video else 'pictures'} is one of {', '.join(known)}"
        )
    if asked is not None:
        return asked
    return settings.output_format if settings.output_format in known else VIDEO_FORMATS[0]
