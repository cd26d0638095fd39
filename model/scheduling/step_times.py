"""What a request will cost, from what requests have cost."""

from typing import Final

from ..contract.generation import Generation, GenerationRequest
from ..contract.sampling import Shape

WEIGHT: Final = 0.3
BEFORE_ANY: Final = 1.0


class StepTimes:
    """Seconds a step, encoders and decoder included, smoothed for each shape."""

    def __init__(self) -> None:
        self._by_shape: dict[Shape, float] = {}
        self._a_pixel: float | None = None

    def record(self, generation: Generation) -> None:
        """Learn from a finished request."""
        shape = generation.shape
        seconds = generation.timings.total / max(1, generation.steps)
        before = self._by_shape.get(shape, seconds)
        # Bounded: a client can ask for any number of sizes.
        if shape in self._by_shape or len(self._by_shape) < 256:
            self._by_shape[shape] = before + WEIGHT * (seconds - before)
        self._a_pixel = self._by_shape.get(shape, seconds) / _pixels(shape)

    def estimate(self, request: GenerationRequest) -> float:
        """Seconds that ``request`` will run: by its shape, else by its pixels, else a guess."""
        shape = request.shape
        seconds = self._by_shape.get(shape)
        if seconds is None and self._a_pixel is not None:
            seconds = self._a_pixel * _pixels(shape)
        if seconds is None:
            return BEFORE_ANY
        return seconds * request.sampling.num_inference_steps


def _pixels(shape: Shape) -> int:
    return shape.width * shape.height * shape.batch * shape.frames
