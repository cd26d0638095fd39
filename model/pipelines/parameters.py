"""The request parameters by name: kind, bounds, meaning. Every protocol reads this table, and so do
the model metadata and the reference page. Spelled as diffusers spells them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import InvalidRequest

PICTURE_FORMATS: Final = ("png", "jpeg", "webp", "avif", "raw")
VIDEO_FORMATS: Final = ("mp4", "raw")
FORMATS: Final = (*dict.fromkeys(PICTURE_FORMATS + VIDEO_FORMATS),)
MOST_FPS: Final = 240
LARGEST_SEED: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Parameter:
    """``kind``: int, float, bool or str. ``datatype``: the v2 tensor type that is the same thing.
    Bounds are inclusive. ``sampling``: the pipeline's call must know it.
    """

    name: str
    kind: type
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    sampling: bool = True

    @property
    def datatype(self) -> str:
        return {int: "INT64", float: "FP32", bool: "BOOL", str: "BYTES"}[self.kind]

    def parse(self, value: Any) -> Any:
        """The value in its kind. Numbers may come as text, since KServe's gRPC parameters hold no
        floats.

        Raises:
            InvalidRequest: naming this parameter.
        """
        parsed = self._converted(value)
        if self.low is not None and parsed < self.low:
            raise InvalidRequest(self.name, f"must be at least {self.low:g}")
        if self.high is not None and parsed > self.high:
            raise InvalidRequest(self.name, f"must be at most {self.high:g}")
        if self.choices and parsed not in self.choices:
            raise InvalidRequest(self.name, f"must be one of {', '.join(self.choices)}")
        return parsed

    def _converted(self, value: Any) -> Any:
        if self.kind is bool:
            return self._truth(value)
        if self.kind is str:
            if not isinstance(value, str):
                raise InvalidRequest(self.name, "must be text")
            return value
        number = self._number(value)
        if self.kind is float:
            try:
                return float(number)
            except OverflowError:
                raise InvalidRequest(self.name, "must be a finite number") from None
        if number != int(number):
            raise InvalidRequest(self.name, "must be a whole number")
        return int(number)

    def _number(self, value: Any) -> int | float:
        if isinstance(value, str):
            try:
                value = int(value)
            except ValueError:
                try:
                    value = float(value)
                except ValueError:
                    raise InvalidRequest(self.name, "must be a number") from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRequest(self.name, "must be a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequest(self.name, "must be a finite number")
        return value

    def _truth(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise InvalidRequest(self.name, "must be true or false")


PARAMETERS: Final = (
    Parameter("num_inference_steps", int, "Denoising steps.", low=1),
    Parameter("guidance_scale", float, "How strongly the prompt steers.", low=0, high=1000),
    Parameter(
        "true_cfg_scale",
        float,
        "Classifier-free guidance of models whose guidance_scale is distilled; needs a "
        "negative_prompt.",
        low=0,
        high=1000,
    ),
    Parameter("height", int, "Pixels.", low=1),
    Parameter("width", int, "Pixels.", low=1),
    Parameter(
        "seed",
        int,
        "Seed of the first picture; the next ones count on. Random when left out; the answer has "
        "them.",
        low=0,
        high=LARGEST_SEED,
        sampling=False,
    ),
    Parameter("num_images_per_prompt", int, "Pictures, or videos, for each prompt.", low=1),
    Parameter(
        "num_frames",
        int,
        "Frames of a video. The model's VAE says which numbers there are: see the metadata.",
        low=1,
    ),
    Parameter("fps", float, "Frames that a video shows in a second.", low=1, high=MOST_FPS),
    Parameter(
        "strength", float, "How much of the input picture is drawn anew, 0 to 1.", low=0, high=1
    ),
    Parameter("max_sequence_length", int, "Tokens of the prompt that are read.", low=1, high=4096),
    Parameter(
        "output_format",
        str,
        "Of pictures png, jpeg, webp, avif; of videos mp4 (encoded, BYTES). Of both raw (UINT8 "
        "pixels).",
        choices=FORMATS,
        sampling=False,
    ),
    Parameter(
        "timeout_s", float, "Seconds until the answer is no longer wanted.", low=0.001,
        sampling=False,
    ),
    Parameter(
        "priority", int, "Higher runs first.", low=-100, high=100, sampling=False
    ),
    Parameter(
        "deterministic",
        bool,
        "Draw alone, so that a seed gives the same bytes whatever else is asked for.",
        sampling=False,
    ),
)  # fmt: skip
BY_NAME: Final = {each.name: each for each in PARAMETERS}
VIDEO_ONLY: Final = ("num_frames", "fps")


def parse_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Every value in its kind.

    Raises:
        InvalidRequest: a name that is no parameter, or a value out of its bounds.
    """
    for name in given:
        if name not in BY_NAME:
            raise InvalidRequest(
                str(name)[:100], f"is not a parameter; known are {', '.join(BY_NAME)}"
            )
    return {name: BY_NAME[name].parse(value) for name, value in given.items()}
