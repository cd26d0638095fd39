"""What a model generates when nobody says otherwise, and the shapes that follow from it."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Task(StrEnum):
    """What goes in and what comes out."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    INPAINTING = "inpainting"


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
    picture is encoded first.
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

    ``alignment``: width and height must be its multiples, in pixels (W11).
    ``accepted``: the sampling parameters that the pipeline's call takes, for each task.
    ``guidance_embedded``: guidance is an input of the denoiser (FLUX), not a second pass.
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
    load_seconds: dict[str, float] = field(default_factory=dict)
