"""Which requests make this model warm (W10 to W14): built from its own sampling defaults, by the
same builder as users' requests.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from ..contract.generation import GenerationRequest
from ..contract.sampling import ModelDescription, Task
from ..pipelines.requests import Ask, build_request
from ..settings import Settings

# W13: some models refuse an empty prompt.
PLACEHOLDER: Final = "warmup"
# W12: the first step and later ones take different paths.
LEAST_STEPS: Final = 2


def build_plan(model: ModelDescription, settings: Settings) -> tuple[GenerationRequest, ...]:
    """One request for each shape that must be warm: the model's own task at its default size.

    Raises:
        InvalidRequest: the model's defaults contradict each other (a size that is not aligned).
    """
    steps = warmup_steps(model.defaults.num_inference_steps, settings)
    return (_planned(model.tasks[0], steps, model, settings),)


def warmup_steps(asked: int, settings: Settings) -> int:
    """W12: min(asked, max(warmup_steps, 2))."""
    return min(asked, max(settings.warmup_steps, LEAST_STEPS))


def first_request_copy(request: GenerationRequest, settings: Settings) -> GenerationRequest:
    """W06: a bounded copy of a user's request, with an id of its own."""
    steps = warmup_steps(request.sampling.num_inference_steps, settings)
    return replace(
        request,
        id=f"warmup-{request.id}",
        sampling=replace(request.sampling, num_inference_steps=steps),
        warmup=True,
    )


def _planned(
    task: Task, steps: int, model: ModelDescription, settings: Settings
) -> GenerationRequest:
    size = (model.defaults.height, model.defaults.width)
    needs_picture = task.takes_image
    ask = Ask(
        prompts=(PLACEHOLDER,),
        images=(_picture(*size),) if needs_picture else (),
        masks=(np.full(size, 255, np.uint8),) if task is Task.INPAINTING else (),
        parameters={"num_inference_steps": steps, "seed": 0},
        id=f"warmup-{task}",
    )
    return replace(build_request(ask, model, settings), warmup=True, deadline=None)


def _picture(height: int, width: int) -> Any:
    """A smooth picture: a flat one would let some encoders divide by a deviation of zero."""
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    return np.repeat(np.tile(ramp, (height, 1))[..., None], 3, axis=2)
