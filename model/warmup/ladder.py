"""W24: what to try where the device has no room for a shape. Less of it is proven then, and the
report and the admission of requests say so; nothing is shrunk in silence.
"""

import math
from dataclasses import replace
from typing import Final

from ..contract.generation import GenerationRequest
from ..contract.sampling import ModelDescription, Task
from ..contract.warmup import Resolution
from ..settings import Settings
from .plan import Target, scaled, warmup_request

HALF_THE_AREA: Final = math.sqrt(0.5)


def lightened(
    request: GenerationRequest, model: ModelDescription, settings: Settings
) -> GenerationRequest | None:
    """A new request for the next smaller shape, on the same engine; None at the floor."""
    target = lighter(Target.of(request.shape), model)
    if target is None:
        return None
    return replace(warmup_request(target, model, settings), engine=request.engine)


def lighter(target: Target, model: ModelDescription) -> Target | None:
    """Latent frames halved first, since each costs as much as a picture; then the area halved, both
    sides aligned; None once there is nothing left to halve."""
    if model.frames is not None and target.task.makes_video:
        frames = model.frames.halved(target.frames)
        # The first and the last frame are two.
        least = 2 if target.task is Task.FRAMES_TO_VIDEO else 1
        if least <= frames < target.frames:
            return replace(target, frames=frames)
    size = scaled(Resolution(target.width, target.height), HALF_THE_AREA, model.alignment)
    smaller = replace(target, width=size.width, height=size.height)
    too_small = min(size.width, size.height) < model.least_image_side
    takes_pixels = target.task.takes_image or target.task.takes_video
    if smaller == target or (takes_pixels and too_small):
        return None
    return smaller
