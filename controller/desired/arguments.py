"""The server's command line. Every flag is one that the server knows: a test asks its settings."""

from collections.abc import Iterator
from typing import Final

from model.contract.flags import GRPC_PORT, HTTP_PORT, Flag, written
from model.contract.roles import Role

from ..api.base import seconds
from ..api.template import CACHE_FOLDER
from ..api.warmup import WarmupMode
from . import between_roles
from .plan import Part, Plan
from .storage import storage

COMPILED: Final = f"{CACHE_FOLDER}/compiled"


def arguments(plan: Plan, part: Part) -> list[str]:
    """C01, C02: after ``python -m model``."""
    flags = [written(flag, value) for flag, value in _flags(plan, part) if value is not None]
    return ["serve", *flags, *plan.service.spec.runtime.extra_args]


def _flags(plan: Plan, part: Part) -> Iterator[tuple[Flag, object]]:
    spec = plan.service.spec
    yield Flag.MODEL, storage(plan, part).address
    yield Flag.MODEL_NAME, plan.service.model_name
    yield Flag.ROLE, part.role
    if part.role is not Role.ROUTER:
        yield Flag.DTYPE, spec.model.dtype
        yield Flag.COMPILE, spec.runtime.compile.lower()
        yield Flag.CACHE_DIR, COMPILED
    yield from _warmup(plan, part)
    yield Flag.STARTUP_TIMEOUT, seconds(spec.warmup.timeout)
    yield Flag.QUEUE_SIZE, spec.requests.max_queue
    yield Flag.REQUEST_TIMEOUT, seconds(spec.requests.timeout)
    yield Flag.MAX_PIXELS, spec.requests.max_pixels
    yield Flag.MAX_IMAGES, spec.requests.max_images
    yield from between_roles.flags(plan, part)
    yield Flag.HTTP_PORT, HTTP_PORT
    yield Flag.GRPC_PORT, GRPC_PORT
    yield Flag.DRAIN_DELAY, seconds(spec.drain.delay)
    yield Flag.DRAIN_TIMEOUT, seconds(spec.drain.budget)
    yield Flag.LOG_FORMAT, "json"


def _warmup(plan: Plan, part: Part) -> Iterator[tuple[Flag, object]]:
    warmup, mode = plan.service.spec.warmup, plan.warmup_mode(part)
    yield Flag.WARMUP_MODE, mode.lower()
    if not part.is_front:
        return  # the router is told the plan, and the gate, for all of them
    if mode is WarmupMode.SERVER:
        yield Flag.WARMUP_RESOLUTIONS, warmup.resolutions
        yield Flag.WARMUP_NUM_FRAMES, warmup.num_frames
        yield Flag.WARMUP_STEPS, warmup.steps
        yield Flag.WARMUP_BATCH_SIZES, warmup.batch_sizes
        yield Flag.WARMUP_TASKS, warmup.tasks
    yield Flag.WARMUP_ON_FAILURE, warmup.on_failure.lower()
    yield Flag.UNWARMED_SHAPES, warmup.unwarmed_shapes.lower()
