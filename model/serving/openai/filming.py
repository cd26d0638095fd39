"""From a body of OpenAI's videos API to what Kiln draws: once when it comes, so that what is wrong
is told at once, and once when its turn comes, which a restart of the server may lie before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...contract.sampling import ModelDescription
from ...errors import InvalidRequest
from ...media.decode import decode_picture
from ...media.decode_video import Bounds, Video, Wish, decode_video
from ...pipelines.requests import Ask
from ...settings import Settings
from .bodies import Body
from .fields import Route
from .reading import AUTO, known_values, nearest, size_of, user_of

REFERENCE: Final = "input_reference"
# OpenAI's names of what goes by others in a request of Kiln.
NAMES: Final = {
    "width": "size",
    "height": "size",
    "image": REFERENCE,
    "video": REFERENCE,
    "num_images_per_prompt": "prompt",
}


@dataclass(frozen=True, slots=True)
class Film:
    """``values``: as they were sent, in their kinds; JSON can hold them."""

    values: Mapping[str, Any]
    reference: bytes | None
    user: str
    ignored: tuple[str, ...]


def read_film(body: Body, settings: Settings) -> Film:
    """Raises:
    InvalidRequest: a field is unknown or out of its bounds.
    """
    values, ignored = known_values(body, Route.VIDEOS, settings)
    user = user_of(values)
    values.pop("model", None)
    given = body.pictures.get(REFERENCE, ())
    if len(given) > 1:
        raise InvalidRequest(REFERENCE, f"has {len(given)} files; one is taken")
    return Film(values, given[0] if given else None, user, ignored)


def asked_for(
    values: Mapping[str, Any], reference: bytes | None, model: ModelDescription, settings: Settings
) -> Ask:
    """Decodes the reference: call it on a thread.

    Raises:
        InvalidRequest: the first thing that is wrong, by OpenAI's name of its field.
    """
    if not model.tasks[0].makes_video:
        raise InvalidRequest("model", "draws pictures: ask for them at /v1/images/generations")
    left = dict(values)
    prompt, negative = left.pop("prompt", None), left.pop("negative_prompt", None)
    size = size_of(left.pop("size", AUTO))
    _take_seconds(left, model)
    picture, video, size = _decoded(reference, size, left, model, settings)
    if size is not None:
        left["width"], left["height"] = size
    return Ask(
        prompts=() if prompt is None else (prompt,),
        negative_prompts=None if negative is None else (negative,),
        images=() if picture is None else (picture,),
        videos=() if video is None else (video.frames,),
        video_fps=None if video is None else video.fps,
        parameters=left,
    )


def _take_seconds(values: dict[str, Any], model: ModelDescription) -> None:
    """Becomes ``num_frames``: the nearest number that the model can code."""
    seconds = values.pop("seconds", None)
    if seconds is None:
        return
    if "num_frames" in values:
        raise InvalidRequest("seconds", "and num_frames both say how long it is; give one")
    rate = values.get("fps", model.defaults.fps)
    if rate is None:
        raise InvalidRequest("seconds", "needs fps: this model says no rate of its own")
    frames = max(round(seconds * rate), 1)
    if model.frames is not None:
        frames = model.frames.fitted(frames + model.frames.step // 2)
    values["num_frames"] = frames


def _decoded(
    reference: bytes | None,
    size: tuple[int, int] | None,
    values: Mapping[str, Any],
    model: ModelDescription,
    settings: Settings,
) -> tuple[Any, Video | None, tuple[int, int] | None]:
    """A picture, or a video where the model takes nothing else, and the size to draw."""
    if reference is None:
        return None, None, size
    if any(task.takes_image for task in model.tasks):
        pixels = settings.max_pixels
        if size is None:
            own = decode_picture(reference, REFERENCE, pixels, (None, None))
            size = nearest((own.shape[1], own.shape[0]), model.alignment)
        return decode_picture(reference, REFERENCE, pixels, size), None, size
    if not any(task.takes_video for task in model.tasks):
        raise InvalidRequest(REFERENCE, f"this model does {', '.join(model.tasks)} only")
    bounds = Bounds(settings.max_pixels, settings.max_frames, settings.max_video_pixels)
    wish = Wish(size or (None, None), values.get("num_frames"))
    return None, decode_video(reference, REFERENCE, bounds, wish), size
