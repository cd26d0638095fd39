"""What a model generates when nobody says otherwise, and the shapes that follow from it."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final


class Task(StrEnum):
    """What goes in and what comes out."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    INPAINTING = "inpainting"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    FRAMES_TO_VIDEO = "frames-to-video"
    VIDEO_TO_VIDEO = "video-to-video"

    @property
    def makes_video(self) -> bool:
        return self in VIDEO_OUT

    @property
    def inputs(self) -> frozenset[str]:
        """What it needs besides the prompt, by the names that protocols use."""
        return INPUTS[self]

    @property
    def takes_image(self) -> bool:
        return "image" in self.inputs

    @property
    def takes_video(self) -> bool:
        return "video" in self.inputs


# ``last_image`` is the last frame of a video whose first one is ``image``.
INPUTS: Final[dict[Task, frozenset[str]]] = {
    Task.TEXT_TO_IMAGE: frozenset(),
    Task.IMAGE_TO_IMAGE: frozenset({"image"}),
    Task.INPAINTING: frozenset({"image", "mask"}),
    Task.TEXT_TO_VIDEO: frozenset(),
    Task.IMAGE_TO_VIDEO: frozenset({"image"}),
    Task.FRAMES_TO_VIDEO: frozenset({"image", "last_image"}),
    Task.VIDEO_TO_VIDEO: frozenset({"video"}),
}
VIDEO_OUT: Final = frozenset(
    {Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO, Task.FRAMES_TO_VIDEO, Task.VIDEO_TO_VIDEO}
)


@dataclass(frozen=True, slots=True)
class FrameContract:
    """The numbers of frames that a video model's VAE can code: ``step`` times a whole number, plus
    1. A VAE that is causal in time codes the first frame alone, and then ``step`` frames a latent.
    """

    step: int

    def fits(self, frames: int) -> bool:
        return frames >= 1 and (frames - 1) % self.step == 0

    def fitted(self, frames: int) -> int:
        """The largest number that fits and is not above ``frames``; at least 1."""
        return max(0, frames - 1) // self.step * self.step + 1

    def halved(self, frames: int) -> int:
        """W24: half the latent frames, rounded up: 17, 9, 5, 1 where ``step`` is 4."""
        latents = (self.fitted(frames) - 1) // self.step + 1
        return ((latents + 1) // 2 - 1) * self.step + 1


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """The values of a request that names none. Sizes in pixels. ``sources`` says where each value
    came from (W10): ``model folder``, ``model components``, ``family NAME`` or ``base``.
    """

    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float | None = None
    true_cfg_scale: float | None = None
    negative_prompt: str | None = None
    strength: float | None = None
    max_sequence_length: int | None = None
    num_frames: int | None = None
    fps: float | None = None
    sources: dict[str, str] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """The defaults that are set, by the names that requests use."""
        found = asdict(self)
        del found["sources"]
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a compiled or tuned path depends on. Two requests of one shape cost the same.

    ``cfg``: classifier-free guidance runs the denoiser on twice the batch. ``image_in``: an input
    picture or video is encoded first.
    """

    task: Task
    width: int
    height: int
    batch: int
    cfg: bool
    image_in: bool = False
    frames: int = 1

    def __str__(self) -> str:
        size = f"{self.task} {self.width}x{self.height}"
        frames = f"x{self.frames}" if self.frames > 1 else ""
        return f"{size}{frames} batch {self.batch}{' cfg' if self.cfg else ''}"


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What the engine found out about the pipeline it loaded.

    ``tasks``: all that can be asked for; the first ``own_tasks`` of them are what the loaded class
    does itself, and the others borrow its components for a sibling class.
    ``alignment``: width and height must be its multiples, in pixels (W11).
    ``accepted``: the sampling parameters that the pipeline's call takes, for each task.
    ``guidance_embedded``: guidance is an input of the denoiser (FLUX), not a second pass.
    ``least_image_side``: pixels; a smaller input picture or video is refused (W16).
    ``most_image_ratio``: of its longer to its shorter side; a more extreme one is refused.
    ``images_in``: input pictures that one request usually gives; ``most_images_in`` that it may.
    ``frames``: None for a model of pictures.
    ``unbatched``: tasks that one request asks for with one prompt (W18).
    ``cfg_above``: the ``guidance_scale`` above which a second pass runs.
    ``registered``: its class is in the table of families; otherwise it is served by signature.
    ``revision``: a content hash of the folder's configuration and weights' sizes, or the hub's.
    """

    pipeline: str
    family: str
    tasks: tuple[Task, ...]
    defaults: SamplingDefaults
    alignment: int
    accepted: dict[Task, frozenset[str]]
    cancellable: bool
    device: str
    dtype: str
    revision: str
    guidance_embedded: bool = False
    own_tasks: int = 1
    least_image_side: int = 64
    most_image_ratio: float | None = None
    images_in: int = 1
    most_images_in: int = 1
    frames: FrameContract | None = None
    unbatched: frozenset[Task] = frozenset()
    cfg_above: float = 1.0
    registered: bool = True
    load_seconds: dict[str, float] = field(default_factory=dict)
