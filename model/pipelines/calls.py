"""Run one request on a diffusers pipeline: the call's arguments, the step callback, the pixels.

A diffusers pipeline keeps state between calls. The engine is its only owner, and ``finally`` puts
back what a broken-off call leaves behind: the next picture equals a clean run bit for bit.
"""

import copy
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from ..contract.compilation import Compilations
from ..contract.generation import GenerationRequest, Timings
from ..errors import GenerationFailed
from .compilation import compilations
from .families import Pictures
from .signature import NAMES, call_name, class_facts

Step = Callable[[int, int], None]


class Looking(Protocol):
    """Who looks at what is drawn before it is done; ``previews``."""

    def listen(self) -> None: ...

    def after_step(self, step: int, of: int, latents: Any) -> bool: ...


@dataclass(frozen=True, slots=True)
class Drawn:
    """``pixels``: uint8 [pictures, height, width, 3], or [videos, frames, height, width, 3], in the
    memory of the CPU."""

    pixels: Any
    timings: Timings
    notes: dict[str, str]
    peak_memory_bytes: int
    compilations: Compilations


class Meter:
    """What one call on ``device`` costs: the ends of its stages, memory, and what was compiled."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._compiled = compilations()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.started = self.last = time.perf_counter()
        self.steps: list[float] = []

    @property
    def peak_memory_bytes(self) -> int:
        gpu = self._device.type == "cuda"
        return torch.cuda.max_memory_allocated(self._device) if gpu else 0

    @property
    def compilations(self) -> Compilations:
        return compilations().since(self._compiled)

    def step(self) -> None:
        _synchronise(self._device)
        now = time.perf_counter()
        self.steps.append(now - self.last)
        self.last = now

    def pass_over(self) -> None:
        """What was done since the last step is no part of the next one."""
        _synchronise(self._device)
        self.last = time.perf_counter()

    def timings(self) -> Timings:
        # The callback fires at the ends of steps, so the first one's own length is unknown: it is
        # taken as long as the median of the others, and the rest before it is preparation.
        end = time.perf_counter()
        if not self.steps:
            return Timings(prepare=end - self.started, total=end - self.started)
        others = sorted(self.steps[1:]) or [self.steps[0]]
        first = min(self.steps[0], others[len(others) // 2])
        return Timings(
            prepare=self.steps[0] - first,
            steps=(first, *self.steps[1:]),
            decode=end - self.last,
            total=end - self.started,
        )


def run(
    pipeline: Any, request: GenerationRequest, on_step: Step, looking: Looking | None = None
) -> Drawn:
    """Draw. ``on_step(number from 1, of)`` runs after each step; what it raises ends the call.
    ``looking`` looks on, and changes nothing.

    Raises:
        torch.OutOfMemoryError: the device has no room.
        GenerationFailed: what was drawn is no picture.
        Exception: whatever the pipeline raises.
    """
    meter = Meter(pipeline.device)
    after_step = stepping(pipeline, request, meter, on_step, looking)
    try:
        with torch.inference_mode(), own_scheduler(pipeline):
            if looking is not None:
                looking.listen()
            answer = pipeline(**arguments(pipeline, request, after_step))
            drawn = answer.frames if request.task.makes_video else answer.images
            check_finite(drawn, "pixels")
            pixels = as_uint8(drawn)
    finally:
        reset(pipeline)
    notes = notes_of(getattr(answer, "nsfw_content_detected", None))
    if request.warmup and not notes:
        check_drawn(pixels)
    return Drawn(pixels, meter.timings(), notes, meter.peak_memory_bytes, meter.compilations)


def stepping(
    pipeline: Any,
    request: GenerationRequest,
    meter: Meter,
    on_step: Step,
    looking: Looking | None = None,
) -> Any:
    """What the pipeline calls after each step."""

    def after_step(_pipe: Any, index: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        meter.step()
        # Here too, since diffusers clamps the pixels: an infinite one would turn into white.
        check_finite(tensors.get("latents"), "latents")
        # Strength takes steps away, and a scheduler of second order counts each one twice.
        of = getattr(pipeline, "_num_timesteps", request.sampling.num_inference_steps)
        on_step(index + 1, of)
        if looking is not None and looking.after_step(index + 1, of, tensors["latents"]):
            meter.pass_over()
        return tensors

    return after_step


def arguments(pipeline: Any, request: GenerationRequest, after_step: Any) -> dict[str, Any]:
    """The call's keyword arguments: those of the request that the pipeline's signature knows. Every
    list is made for this call: some calls write into theirs.
    """
    facts = class_facts(pipeline)
    known = frozenset(inspect.signature(pipeline.__call__).parameters)
    copies = request.num_images_per_prompt
    # Some calls pair the pictures of several prompts with their copies in another order than the
    # prompts themselves, and some do not repeat them at all: each copy becomes a prompt.
    repeat = copies if request.images and facts.pictures is Pictures.EACH else 1
    knobs = {name: getattr(request.sampling, name, None) for name in NAMES}
    knobs |= {"num_images_per_prompt": copies // repeat, "negative_prompt": None}
    if not (request.images or request.videos):
        knobs["strength"] = None
    images, last_images, taken = request.images, request.last_images, facts.pictures
    if last_images and "last_image" not in known:
        # It is one of the pictures then, and ``fixed`` says where they stand.
        images, last_images, taken = (*images, *last_images), (), Pictures.ALL
    wanted: dict[str, Any] = {
        call_name(name, known) or "": value
        for name, value in knobs.items()
        if name not in facts.hides
    }
    wanted |= {
        "prompt": _repeated(request.prompts, repeat),
        "negative_prompt": _repeated(request.negative_prompts or (), repeat) or None,
        # One generator a picture, on the CPU: a seed's noise is the same in any batch and on any
        # device.
        "generator": [torch.Generator("cpu").manual_seed(seed) for seed in request.seeds],
        "image": _pictures(images, repeat, taken),
        "last_image": _pictures(last_images, repeat, facts.pictures),
        "video": [Image.fromarray(frame) for video in request.videos for frame in video] or None,
        "mask_image": _pictures(request.masks, repeat, facts.pictures),
        "output_type": "pt",
        "callback_on_step_end": after_step,
        **{name: value(request) for name, value in facts.fixed.items()},
    }
    return {name: value for name, value in wanted.items() if name in known and value is not None}


def check_finite(values: Any, what: str) -> None:
    """One number comes back from the device.

    Raises:
        GenerationFailed: there is a NaN or an infinity in ``values``.
    """
    if isinstance(values, torch.Tensor) and not torch.isfinite(values).all():
        raise GenerationFailed(
            f"the {what} hold NaN or infinity: the weights are broken, or overflow in "
            f"{values.dtype}; another --dtype may help"
        )


def check_drawn(pixels: Any) -> None:
    """Users may get a black picture; as the proof of a warmup it proves nothing.

    Raises:
        GenerationFailed: a picture is all zeros.
    """
    if not all(each.any() for each in pixels):
        raise GenerationFailed("a picture is all black: the weights are broken, or overflow")


@contextmanager
def own_scheduler(pipeline: Any) -> Iterator[None]:
    """A copy of the scheduler for one call. Schedulers keep steps, and some keep more than the next
    call resets; siblings share one; a call that breaks off leaves it anywhere."""
    kept = getattr(pipeline, "scheduler", None)
    if kept is None:
        yield
        return
    pipeline.scheduler = copy.deepcopy(kept)
    try:
        yield
    finally:
        pipeline.scheduler = kept


def _repeated(found: tuple[Any, ...], times: int) -> list[Any]:
    """Each as often, side by side."""
    return [each for each in found for _ in range(times)]


def _pictures(found: tuple[Any, ...], times: int, taken: Pictures) -> Any:
    """As the call takes them; None where there are none."""
    pictures = [Image.fromarray(each) for each in _repeated(found, times)]
    if taken is Pictures.ONE:
        return next(iter(pictures), None)
    return pictures or None


def as_uint8(drawn: Any) -> Any:
    """[..., 3, h, w] floats from 0 to 1 on the device, to uint8 [..., h, w, 3]; rounds as
    diffusers' own conversion to PIL does."""
    if not isinstance(drawn, torch.Tensor):
        # Where a safety checker blacks a picture out, diffusers hands numpy arrays over.
        stacked = np.stack([np.asarray(each) for each in drawn])
        drawn = torch.from_numpy(stacked)
        drawn = drawn.movedim(-1, -3) if drawn.shape[-1] == 3 else drawn
    scaled = (drawn.float() * 255).round().clamp(0, 255).to(torch.uint8)
    return scaled.movedim(-3, -1).contiguous().cpu().numpy()


def notes_of(flagged: Any) -> dict[str, str]:
    """``flagged``: by the safety checker, one for each picture; None where there is none."""
    if not flagged or not any(flagged):
        return {}
    hidden = ",".join(str(place) for place, each in enumerate(flagged) if each)
    return {"hidden_by_safety_checker": hidden}


def reset(pipeline: Any) -> None:
    """Put back what a call that broke off leaves behind."""
    pipeline._interrupt = False
    pipeline.maybe_free_model_hooks()


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
