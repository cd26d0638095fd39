"""Run one request on a diffusers pipeline: the call's arguments, the step callback, the pixels.

A diffusers pipeline keeps state between calls. The engine is its only owner, and ``finally`` puts
back what a broken-off call leaves behind: the next picture equals a clean run bit for bit.
"""

import inspect
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..contract.generation import GenerationRequest, Timings

Step = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """``pixels``: uint8 [pictures, height, width, 3] in the memory of the CPU."""

    pixels: Any
    timings: Timings
    notes: dict[str, str]
    peak_memory_bytes: int
    compiles: int


class _Clock:
    """Marks the ends of the stages of one call."""

    def __init__(self) -> None:
        self.started = self.last = time.perf_counter()
        self.steps: list[float] = []

    def step(self) -> None:
        now = time.perf_counter()
        self.steps.append(now - self.last)
        self.last = now

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


def run(pipeline: Any, request: GenerationRequest, on_step: Step) -> Drawn:
    """Draw. ``on_step(number from 1, of)`` runs after each step; what it raises ends the call.

    Raises:
        torch.OutOfMemoryError: the device has no room.
        Exception: whatever the pipeline raises.
    """
    clock = _Clock()
    steps = request.sampling.num_inference_steps
    device = pipeline.device

    def after_step(_pipe: Any, index: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        _synchronise(device)
        clock.step()
        on_step(index + 1, steps)
        return tensors

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    compiled = compiles()
    try:
        with torch.inference_mode():
            answer = pipeline(**arguments(pipeline, request, after_step))
            pixels = _as_uint8(answer.images)
    finally:
        _reset(pipeline)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return Drawn(pixels, clock.timings(), _notes(answer), peak, compiles() - compiled)


def arguments(pipeline: Any, request: GenerationRequest, after_step: Any) -> dict[str, Any]:
    """The call's keyword arguments: those of the request that the pipeline's signature knows."""
    sampling = request.sampling
    wanted: dict[str, Any] = {
        "prompt": list(request.prompts),
        "negative_prompt": _texts(request.negative_prompts),
        "width": sampling.width,
        "height": sampling.height,
        "num_inference_steps": sampling.num_inference_steps,
        "guidance_scale": sampling.guidance_scale,
        "true_cfg_scale": sampling.true_cfg_scale,
        "strength": sampling.strength if request.images else None,
        "max_sequence_length": sampling.max_sequence_length,
        "num_images_per_prompt": request.num_images_per_prompt,
        # One generator a picture, on the CPU: a seed's noise is the same in any batch and on any
        # device.
        "generator": [torch.Generator("cpu").manual_seed(seed) for seed in request.seeds],
        "image": [Image.fromarray(each) for each in request.images] or None,
        "mask_image": [Image.fromarray(each) for each in request.masks] or None,
        "output_type": "pt",
        "callback_on_step_end": after_step,
    }
    known = inspect.signature(pipeline.__call__).parameters
    return {name: value for name, value in wanted.items() if name in known and value is not None}


def compiles() -> int:
    """Graphs that torch has compiled in this process. Asks only where a compiler was imported."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return int(dynamo.counters["stats"]["unique_graphs"]) if dynamo else 0


def _texts(found: tuple[str, ...] | None) -> list[str] | None:
    return None if found is None else list(found)


def _as_uint8(images: Any) -> Any:
    """[n, 3, h, w] floats from 0 to 1 on the device, to uint8 [n, h, w, 3]; rounds as diffusers'
    own conversion to PIL does."""
    if not isinstance(images, torch.Tensor):
        # Where a safety checker blacks a picture out, diffusers hands numpy arrays over.
        stacked = np.stack([np.asarray(each) for each in images])
        images = torch.from_numpy(stacked)
        images = images.permute(0, 3, 1, 2) if images.shape[-1] == 3 else images
    scaled = (images.float() * 255).round().clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def _notes(answer: Any) -> dict[str, str]:
    flagged = getattr(answer, "nsfw_content_detected", None)
    if not flagged or not any(flagged):
        return {}
    hidden = ",".join(str(place) for place, each in enumerate(flagged) if each)
    return {"hidden_by_safety_checker": hidden}


def _reset(pipeline: Any) -> None:
    pipeline._interrupt = False
    pipeline.maybe_free_model_hooks()


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
