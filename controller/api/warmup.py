"""``spec.warmup``: what must be hot before a pod says Ready."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from .base import ApiModel, Duration, Rule, rules


class WarmupMode(StrEnum):
    SERVER = "Server"
    REQUEST = "Request"
    OFF = "Off"


class OnFailure(StrEnum):
    ABORT = "Abort"
    DEGRADED = "Degraded"
    READY = "Ready"


class UnwarmedShapes(StrEnum):
    ALLOW = "Allow"
    REJECT = "Reject"


class Task(StrEnum):
    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    INPAINTING = "inpainting"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    FRAMES_TO_VIDEO = "frames-to-video"
    VIDEO_TO_VIDEO = "video-to-video"


Resolution = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$", max_length=11)]
BatchSize = Annotated[int, Field(ge=1, le=1024)]
PLANNED: Final = ("resolutions", "numFrames", "steps", "batchSizes", "tasks")


class Warmup(ApiModel):
    """What is warmed up before a pod says Ready. Without any of it, the server warms up the
    model's own default size; the first user of that size then pays what the thousandth pays.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "self.mode == 'Server' || !("
                + " || ".join(f"has(self.{name})" for name in PLANNED)
                + ")",
                "spec.warmup: resolutions, numFrames, steps, batchSizes and tasks plan the "
                "warmup of mode Server; remove them, or set mode: Server",
            ),
            Rule(
                "self.mode == 'Server' || self.unwarmedShapes == 'Allow'",
                "spec.warmup.unwarmedShapes: Reject would refuse every request when nothing is "
                "warmed up; set it to Allow, or set mode: Server",
            ),
        )
    )

    mode: WarmupMode = Field(
        WarmupMode.SERVER,
        description="Server: requests that the server builds for itself run before it says Ready. "
        "Request: a short copy of the first user request runs before it, and Ready comes as soon "
        "as the model is loaded. Off: nothing runs, and the first user pays. With spec.roles it is "
        "the router's: it warms up the whole chain, and the workers never warm up alone.",
    )
    resolutions: tuple[Resolution, ...] | None = Field(
        None,
        min_length=1,
        max_length=32,
        description="Sizes to warm up, as WIDTHxHEIGHT in pixels, such as 1024x1024. They replace "
        "the model's default size. Each is combined with each batch size and task.",
    )
    num_frames: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Frames of a warmup video. It must fit the model (often 4 times a number, plus "
        "1); models of pictures have none. Without it, the model's default, but at most 17.",
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Denoising steps of a warmup request. At least two always run, because the "
        "first and the later ones take different paths.",
    )
    batch_sizes: tuple[BatchSize, ...] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="Pictures of one request that are warmed up together, at each size. Without "
        "it, 1.",
    )
    tasks: tuple[Task, ...] | None = Field(
        None,
        min_length=1,
        max_length=len(Task),
        description="What to warm up of all that the model does. Without it, what its pipeline's "
        "class does itself.",
    )
    on_failure: OnFailure = Field(
        OnFailure.ABORT,
        description="Abort: the pod ends with the reason, and Kubernetes restarts it. Degraded: it "
        "turns Ready and says so in its metadata, metrics and readiness answers. Ready: it turns "
        "Ready, and only the warmup report tells.",
    )
    timeout: Duration = Field(
        "20m",
        description="Longest time from a container's start to Ready: loading, compiling and warmup "
        "together, such as 90s, 20m or 1h30m. Later than that is a failure. The startup probe and "
        "the rollout's deadline derive from it.",
        json_schema_extra=rules(
            Rule(
                "duration(self) >= duration('10s') && duration(self) <= duration('24h')",
                "spec.warmup.timeout: must be from 10s to 24h",
            )
        ),
    )
    unwarmed_shapes: UnwarmedShapes = Field(
        UnwarmedShapes.ALLOW,
        description="What becomes of a request whose size, batch or task was not warmed up. Allow: "
        "it is served, slower, and its answer says cold_shape. Reject: it gets a 400 that lists "
        "the shapes that are warm.",
    )
