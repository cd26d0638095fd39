"""Every field of OpenAI's images and videos API, and the fields of diffusion models that Kiln takes
beside them: what becomes of each. Requests are read by this table, and the support matrix is made
from it.

Fields and their values: OpenAI's API reference, "Images" and "Videos", as the SDK 3.54 has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from ...pipelines.parameters import BY_NAME, Parameter

MOST_PICTURES: Final = 10
MOST_PARTIAL_IMAGES: Final = 3
LONGEST_USER: Final = 256


class Route(StrEnum):
    GENERATIONS = "generations"
    EDITS = "edits"
    VARIATIONS = "variations"
    VIDEOS = "videos"


class Support(StrEnum):
    """``DIFFERS``: it works, and not just as OpenAI has it. ``OWN``: OpenAI has no such field."""

    YES = "yes"
    DIFFERS = "differs"
    NO = "no"
    OWN = "Kiln's own"


@dataclass(frozen=True, slots=True)
class Field:
    """``meaning``: for the matrix, and for the caller where the field is refused. ``parameter``:
    how its value is read; None where it is a picture, or not read at all. ``harmless``: values that
    ask for nothing, of a field that is not supported.
    """

    name: str
    support: Support
    meaning: str
    routes: frozenset[Route]
    parameter: Parameter | None = None
    harmless: tuple[Any, ...] = ()

    def read(self, value: Any) -> Any:
        """Raises:
        InvalidRequest: naming this field.
        """
        return value if self.parameter is None else self.parameter.parse(value)


ALL: Final = frozenset(Route)
IMAGES: Final = ALL - {Route.VIDEOS}
DRAWN: Final = frozenset({Route.GENERATIONS, Route.EDITS})
FROM_PICTURES: Final = frozenset({Route.EDITS, Route.VARIATIONS})
GENERATED: Final = frozenset({Route.GENERATIONS})
EDITED: Final = frozenset({Route.EDITS})
VARIED: Final = frozenset({Route.VARIATIONS})
FILMED: Final = frozenset({Route.VIDEOS})


def _text(name: str, *choices: str) -> Parameter:
    return Parameter(name, str, "", choices=choices)


def _whole(name: str, low: int, high: int) -> Parameter:
    return Parameter(name, int, "", low=low, high=high)


def _own(name: str, routes: frozenset[Route] = ALL) -> Field:
    """A parameter that the v2 protocol has as well, by the same name."""
    parameter = BY_NAME[name]
    return Field(name, Support.OWN, parameter.description, routes, parameter)


YES, DIFFERS, NO = Support.YES, Support.DIFFERS, Support.NO

FIELDS: Final = (
    Field("prompt", YES, "What to draw.", DRAWN | FILMED, _text("prompt")),
    Field(
        "image",
        YES,
        "PNG, JPEG or WebP: parts `image` or `image[]` of a form; in JSON base64, a `data:` URL or "
        "an address, or a list of those. Several where the model edits several at once.",
        FROM_PICTURES,
    ),
    Field(
        "images",
        DIFFERS,
        "In JSON, as objects with an `image_url`: `data:` URLs, and addresses on hosts of "
        "`--image-url-hosts`; no `file_id`.",
        EDITED,
    ),
    Field(
        "mask",
        YES,
        "A picture whose transparent parts are drawn anew, for models that inpaint.",
        EDITED,
    ),
    Field("model", YES, "The served name; may be left out.", ALL, _text("model")),
    Field("n", YES, f"Pictures, 1 to {MOST_PICTURES}.", IMAGES, _whole("n", 1, MOST_PICTURES)),
    Field(
        "size",
        DIFFERS,
        "`WIDTHxHEIGHT` of any multiple that the model can draw. `auto`: the model's own size, or "
        "that of the input picture.",
        ALL,
        _text("size"),
    ),
    Field(
        "quality",
        DIFFERS,
        "How many steps: half of the model's default for `low`, one and a half times for `high` "
        "and `hd`, the default for `auto`, `medium` and `standard`.",
        DRAWN,
        _text("quality", "auto", "low", "medium", "high", "standard", "hd"),
    ),
    Field(
        "background",
        DIFFERS,
        "`auto` and `opaque`; no model here draws transparency.",
        DRAWN,
        _text("background", "auto", "opaque"),
    ),
    Field(
        "output_format",
        DIFFERS,
        "`png`, `jpeg` or `webp`, and `avif`, which OpenAI has not; without it what the server is "
        "set to.",
        IMAGES,
        _text("output_format", "png", "jpeg", "webp", "avif"),
    ),
    Field(
        "output_compression",
        DIFFERS,
        "The encoder's quality, 0 to 100, of `jpeg`, `webp` and `avif`.",
        IMAGES,
        _whole("output_compression", 0, 100),
    ),
    Field(
        "response_format",
        DIFFERS,
        "`b64_json`, which is also the default. `url` needs a store that every replica serves, and "
        "there is none.",
        IMAGES,
        _text("response_format", "b64_json", "url"),
    ),
    Field(
        "user",
        DIFFERS,
        "Written into the line that the log has for the request, and used for nothing else.",
        IMAGES,
        _text("user"),
    ),
    Field(
        "safety_identifier",
        DIFFERS,
        "As `user`, of which it is the newer name.",
        DRAWN,
        _text("safety_identifier"),
    ),
    Field(
        "stream",
        DIFFERS,
        "The picture, and what `partial_images` asks for before it, as server-sent events. The "
        "last event has all that an answer has; its `usage` is zeros, since nothing here has "
        "tokens. `n` must be 1.",
        DRAWN,
        Parameter("stream", bool, ""),
    ),
    Field(
        "partial_images",
        YES,
        "With `stream`, how many pictures come before the last one, 0 to 3: what the model expects "
        "to draw, decoded after steps that lie evenly. There must be more steps than that.",
        DRAWN,
        _whole("partial_images", 0, MOST_PARTIAL_IMAGES),
    ),
    Field(
        "input_reference",
        DIFFERS,
        "A picture that the video begins with, or an MP4 file where the model draws videos anew: a "
        "part of a form, or an object with an `image_url`, which is a `data:` URL or an address on "
        "hosts of `--image-url-hosts`; no `file_id`.",
        FILMED,
    ),
    Field(
        "seconds",
        DIFFERS,
        "Any length up to `--max-frames`, to the nearest number of frames that the model can code; "
        "without it the model's default. `num_frames` says it exactly.",
        FILMED,
        Parameter("seconds", float, "", low=0.01, high=3600),
    ),
    Field("moderation", NO, "Nothing is moderated here.", GENERATED),
    Field("style", NO, "Say it in the prompt.", GENERATED),
    Field("complexity", NO, "Nothing plans a picture here before it is drawn.", DRAWN),
    Field("markup", NO, "Mark what to change by `mask`.", EDITED),
    Field("svg", NO, "Models of diffusers draw pixels.", DRAWN),
    Field("frame_count", NO, "Moving pictures are for video models, over v2.", DRAWN),
    Field("frame_duration_ms", NO, "Moving pictures are for video models, over v2.", DRAWN),
    Field("input_fidelity", NO, "`strength` says how much is drawn anew.", EDITED),
    Field(
        "prompt",
        Support.OWN,
        "What the variation should show; OpenAI takes none.",
        VARIED,
        _text("prompt"),
    ),
    Field("negative_prompt", Support.OWN, "What not to draw.", ALL, _text("negative_prompt")),
    Field(
        "user",
        Support.OWN,
        "Whose quota the job counts against; without it, that of the API key.",
        FILMED,
        _text("user"),
    ),
    _own("seed"),
    _own("num_inference_steps"),
    _own("guidance_scale"),
    _own("true_cfg_scale"),
    _own("strength", FROM_PICTURES | FILMED),
    _own("num_frames", FILMED),
    _own("fps", FILMED),
    _own("max_sequence_length"),
    _own("timeout_s"),
    _own("priority"),
    _own("deterministic"),
)  # fmt: skip


def _by_route() -> Mapping[Route, Mapping[str, Field]]:
    return MappingProxyType(
        {
            route: MappingProxyType({each.name: each for each in FIELDS if route in each.routes})
            for route in Route
        }
    )


BY_ROUTE: Final = _by_route()
