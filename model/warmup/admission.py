"""Which requests a warm server takes: all that it can, unless it was told to serve nothing cold
(W40), or its memory was too small for what it was asked to warm up (W24).
"""

from collections.abc import Iterable
from typing import Final

from ..contract.generation import GenerationRequest
from ..contract.sampling import Shape
from ..contract.warmup import UnwarmedShapes
from ..errors import ShapeRefused
from .report import WarmupReport

# A message is read by people: so many shapes, and then their number.
MOST_LISTED: Final = 16


def admit(request: GenerationRequest, report: WarmupReport, policy: UnwarmedShapes) -> None:
    """Return when the request may run.

    Raises:
        ShapeRefused: it may not; with the limit, or with the shapes that are warm.
    """
    shape = request.shape
    if shape in report.proven_shapes:
        return
    same_task = [each for each in report.shapes if each.proven and each.shape.task is shape.task]
    # W21: any engine may get it, so it has to fit into each of them.
    for engine in sorted({each.engine for each in same_task if each.degraded}):
        _check_memory(shape, [each.shape for each in same_task if each.engine == engine])
    if policy is UnwarmedShapes.REJECT:
        raise ShapeRefused("width", f"{shape} is not warm, and this server serves nothing cold; "
                           f"{_listed(report.proven_shapes)}")  # fmt: skip


def _check_memory(shape: Shape, proven: list[Shape]) -> None:
    """W24: nothing above what was proven, in pixels, in frames or in all."""
    largest = max(proven, key=_load)
    warm = f"the largest warm shape is {largest}"
    frames = max(each.frames for each in proven)
    if shape.frames > frames:
        raise ShapeRefused(
            "num_frames", f"{shape.frames} is above {frames}, the most that this device has proven "
            f"to have memory for; {warm}"
        )  # fmt: skip
    pixels = max(each.width * each.height for each in proven)
    if shape.width * shape.height > pixels:
        raise ShapeRefused(
            "width", f"{shape.width}x{shape.height} is above {pixels} pixels, the most that this "
            f"device has proven to have memory for; {warm}"
        )  # fmt: skip
    if _load(shape) > _load(largest):
        raise ShapeRefused(
            "num_images_per_prompt", f"{shape} needs more memory than this device has proven to "
            f"have; ask for fewer or smaller pictures at once: {warm}"
        )  # fmt: skip


def _load(shape: Shape) -> int:
    """Pixels that go through the denoiser together; guidance doubles them."""
    return shape.width * shape.height * shape.frames * shape.batch * (2 if shape.cfg else 1)


def _listed(shapes: Iterable[Shape]) -> str:
    found = sorted(str(each) for each in shapes)
    if not found:
        return "no shape is warm, since the warmup failed"
    rest = len(found) - MOST_LISTED
    more = f"; and {rest} more" if rest > 0 else ""
    return f"warm are {'; '.join(found[:MOST_LISTED])}{more}"
