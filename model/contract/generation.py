"""One request in, one generation out. Every protocol translates into and out of these two types,
and warmup builds the same: what is warmed is what is served.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .compilation import Compilations
from .sampling import Shape, Task


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw. Names and meanings are those of diffusers; sizes in pixels. ``None`` leaves the
    value to the pipeline's own signature.
    """

    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float | None = None
    true_cfg_scale: float | None = None
    strength: float | None = None
    max_sequence_length: int | None = None
    num_frames: int | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """``prompts`` has one text for each prompt; each is drawn ``num_images_per_prompt`` times, and
    ``seeds`` has one seed for each picture, in prompt order.

    ``images`` and ``masks`` hold one picture for each prompt: uint8 arrays [height, width, 3] and
    [height, width]. A model that edits several pictures at once takes one prompt, and all of
    ``images`` for it. ``last_images``: the frame that the video of a prompt ends with, where
    ``images`` has the one that it begins with. ``videos``: one for the one prompt, uint8 [frames,
    height, width, 3], of the size and length that is drawn. ``deadline`` is a reading of
    ``time.monotonic()``. ``cfg``: the denoiser runs a second, unconditional pass. ``engine``: the
    one that has to run it, counted from 0; None: any. ``previews``: how often somebody wants to see
    what is drawn before it is done. ``trace``: the context that its client gave, for whoever works
    on it.
    """

    id: str
    task: Task
    prompts: tuple[str, ...]
    sampling: Sampling
    seeds: tuple[int, ...]
    negative_prompts: tuple[str, ...] | None = None
    num_images_per_prompt: int = 1
    images: tuple[Any, ...] = ()
    masks: tuple[Any, ...] = ()
    last_images: tuple[Any, ...] = ()
    videos: tuple[Any, ...] = ()
    deadline: float | None = None
    priority: int = 0
    cfg: bool = False
    warmup: bool = False
    engine: int | None = None
    previews: int = 0
    trace: Mapping[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> int:
        return len(self.prompts) * self.num_images_per_prompt

    @property
    def pixel_shape(self) -> tuple[int, ...]:
        """Of ``Generation.pixels``."""
        sampling = self.sampling
        frames = (sampling.num_frames or 1,) if self.task.makes_video else ()
        return (self.pictures, *frames, sampling.height, sampling.width, 3)

    @property
    def shape(self) -> Shape:
        return Shape(
            task=self.task,
            width=self.sampling.width,
            height=self.sampling.height,
            batch=self.pictures,
            cfg=self.cfg,
            image_in=bool(self.images or self.videos),
            frames=self.sampling.num_frames or 1,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds by stage. ``steps`` has one entry for each denoising step."""

    queue: float = 0.0
    prepare: float = 0.0
    steps: tuple[float, ...] = ()
    decode: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What the prompt cache did for one request (W43), and the bytes that it holds now."""

    hits: int = 0
    misses: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """``pixels``: uint8 array [pictures, height, width, 3], RGB; of a video model [videos, frames,
    height, width, 3]. ``peak_memory_bytes`` is the device's, 0 on a CPU. ``compilations``: what
    torch compiled for it; nothing once a shape is warm.
    """

    id: str
    pixels: Any
    seeds: tuple[int, ...]
    shape: Shape
    steps: int
    timings: Timings
    cold_shape: bool = False
    peak_memory_bytes: int = 0
    compilations: Compilations = field(default_factory=Compilations)
    prompt_cache: CacheUse = field(default_factory=CacheUse)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def compiles(self) -> int:
        """Compiles, recompiles and autotunes."""
        return self.compilations.total

    @property
    def eager_calls(self) -> int:
        """Calls of compiled parts that ran uncompiled."""
        return self.compilations.eager_calls
