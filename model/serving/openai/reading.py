"""From a body of OpenAI's API to what Kiln draws."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...contract.sampling import ModelDescription
from ...errors import InvalidRequest, UnknownField
from ...media.decode import decode_hole, decode_picture
from ...media.encode import LOSSY
from ...pipelines.requests import Ask
from ...settings import Settings
from .bodies import Body
from .fields import BY_ROUTE, LONGEST_USER, Field, Route, Support

SIZE: Final = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
AUTO: Final = "auto"
USERS: Final = ("user", "safety_identifier")
URL: Final = "url"
# Of the model's default number of steps.
STEPS_OF: Final = {"low": 0.5, "high": 1.5, "hd": 1.5}
DEFAULT_FORMAT: Final = "png"
# What a variation is drawn with where the request says nothing: a model needs some text, and some
# of the picture must stay.
VARIATION_PROMPT: Final = "a variation of this picture"
VARIATION_STRENGTH: Final = 0.6
# OpenAI's names of what goes by others in a request of Kiln.
NAMES: Final = {"width": "size", "height": "size", "num_images_per_prompt": "n"}


@dataclass(frozen=True, slots=True)
class Wish:
    """``ask``: what to draw. The rest: how the answer looks. ``ignored``: fields that a lenient
    server did not heed. ``partial_images``: that come before the last one of a stream."""

    ask: Ask
    output_format: str
    compression: int | None
    quality: str
    user: str
    ignored: tuple[str, ...]
    stream: bool = False
    partial_images: int = 0


def understand(body: Body, route: Route, model: ModelDescription, settings: Settings) -> Wish:
    """Decodes pictures: call it on a thread.

    Raises:
        InvalidRequest: the first thing that is wrong, by OpenAI's name of its field.
    """
    values, ignored = known_values(body, route, settings)
    output_format = values.pop("output_format", None) or _format(settings)
    compression = values.pop("output_compression", None)
    if compression is not None and output_format not in LOSSY:
        raise InvalidRequest("output_compression", f"is for {' and '.join(LOSSY)}")
    if values.pop("response_format", None) == URL:
        raise InvalidRequest(
            "response_format", "url needs a store that every replica serves, and this server has "
            "none: ask for b64_json"
        )  # fmt: skip
    user = user_of(values)
    values.pop("background", None)
    values.pop("model", None)
    quality = values.pop("quality", AUTO)
    stream, partial = values.pop("stream", False), values.pop("partial_images", 0)
    if partial and not stream:
        raise InvalidRequest("partial_images", "come in a stream only: set stream to true")
    ask = _ask(values, quality, body, route, model, settings)
    return Wish(ask, output_format, compression, quality, user, ignored, stream, partial)


def known_values(
    body: Body, route: Route, settings: Settings
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values by field, read; and the fields that are ignored."""
    fields = BY_ROUTE[route]
    values: dict[str, Any] = {}
    ignored: list[str] = []
    for name in (*body.values, *body.pictures):
        field = fields.get(name)
        if field is None or field.support is Support.NO:
            if field is not None and body.values.get(name) in field.harmless:
                continue
            if not settings.lenient:
                raise _refused(name, field, fields)
            ignored.append(name)
        elif name in body.values:
            values[name] = field.read(body.values[name])
    return values, tuple(ignored)


def _refused(name: str, field: Field | None, fields: Mapping[str, Field]) -> UnknownField:
    if field is not None:
        return UnknownField(name, f"is not supported. {field.meaning}")
    known = ", ".join(sorted(each for each in fields if fields[each].support is not Support.NO))
    return UnknownField(name[:100], f"is not a field of this route; known are {known}")


def user_of(values: dict[str, Any]) -> str:
    """Who asks, by either of two names."""
    found = ""
    for name in USERS:
        found = values.pop(name, found)
        if len(found) > LONGEST_USER:
            raise InvalidRequest(
                name, f"has {len(found)} characters; at most {LONGEST_USER} are taken"
            )
    return found


def _format(settings: Settings) -> str:
    return DEFAULT_FORMAT if settings.output_format == "raw" else settings.output_format


def _ask(
    values: dict[str, Any],
    quality: str,
    body: Body,
    route: Route,
    model: ModelDescription,
    settings: Settings,
) -> Ask:
    prompt = values.pop("prompt", VARIATION_PROMPT if route is Route.VARIATIONS else None)
    negative = values.pop("negative_prompt", None)
    size = size_of(values.pop("size", AUTO))
    if (count := values.pop("n", 1)) > 1:
        values["num_images_per_prompt"] = count
    _take_quality(values, quality, model, settings)
    if route is Route.VARIATIONS:
        values.setdefault("strength", VARIATION_STRENGTH)
    images, masks, size = _pictures(body, route, size, model, settings)
    if size is not None:
        values["width"], values["height"] = size
    return Ask(
        prompts=() if prompt is None else (prompt,),
        negative_prompts=None if negative is None else (negative,),
        images=images,
        masks=masks,
        parameters=values,
    )


def size_of(text: str) -> tuple[int, int] | None:
    if text == AUTO:
        return None
    match = SIZE.fullmatch(text)
    if match is None:
        raise InvalidRequest("size", "must be auto, or WIDTHxHEIGHT such as 1024x1024")
    return int(match[1]), int(match[2])


def _take_quality(
    values: dict[str, Any], quality: str, model: ModelDescription, settings: Settings
) -> None:
    if quality == AUTO:
        return
    if "num_inference_steps" in values:
        raise InvalidRequest("quality", "and num_inference_steps both say how many steps; give one")
    steps = model.defaults.num_inference_steps * STEPS_OF.get(quality, 1)
    values["num_inference_steps"] = min(max(round(steps), 1), settings.max_steps)


def _pictures(
    body: Body,
    route: Route,
    size: tuple[int, int] | None,
    model: ModelDescription,
    settings: Settings,
) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[int, int] | None]:
    """Images, masks, and the size to draw. Where the request names none it is that of the first
    picture, as near as the model can draw it."""
    if "image" in body.pictures and "images" in body.pictures:
        raise InvalidRequest("images", "is given beside image; give one")
    name = "images" if "images" in body.pictures else "image"
    files = body.pictures.get(name, ())
    if route is Route.GENERATIONS:
        return (), (), size
    if not files:
        raise InvalidRequest("image", "is missing")
    if len(files) > settings.max_images:
        raise InvalidRequest(name, f"has {len(files)} pictures; at most {settings.max_images}")
    pixels = settings.max_pixels
    if size is None:
        first = decode_picture(files[0], name, pixels, (None, None))
        size = nearest((first.shape[1], first.shape[0]), model.alignment)
    # A model that looks at several sees each in its own size.
    own = (None, None) if model.most_images_in > 1 else size
    images = tuple(decode_picture(each, name, pixels, own) for each in files)
    holes = body.pictures.get("mask", ())
    if len(holes) > 1:
        raise InvalidRequest("mask", f"has {len(holes)} pictures; one is taken")
    seen = (images[0].shape[1], images[0].shape[0])
    return images, tuple(decode_hole(each, "mask", pixels, seen) for each in holes), size


def nearest(size: tuple[int, int], alignment: int) -> tuple[int, int]:
    width, height = (max(side // alignment, 1) * alignment for side in size)
    return width, height
