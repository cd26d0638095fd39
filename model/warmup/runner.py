"""Run a plan and prove each shape (W20, W22, W23). Fails closed: the first error ends it, but for
want of memory, for which a smaller shape is tried (W24).
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ..contract.generation import Generation, GenerationRequest
from ..errors import DeadlineExceeded, OutOfMemory, RequestError, WarmupFailed
from ..telemetry.logs import get_logger
from .report import ShapeReport, WarmupReport

log = get_logger(__name__)

# W22: a pass within 10 % or 5 ms of the one before is steady. Four passes at most: on a machine
# that is never quiet, the fifth would be no steadier than the fourth.
RELATIVE_TOLERANCE: Final = 0.10
ABSOLUTE_TOLERANCE: Final = 0.005
MOST_PASSES: Final = 4
# W24: smaller shapes that are tried for one that does not fit.
MOST_RETRIES: Final = 3
# W17: what a user might write; and how often it is repeated where it still compiles.
REAL_PROMPT: Final = "A detailed image."
MOST_REAL_PASSES: Final = 2

Submit = Callable[[GenerationRequest], Awaitable[Generation]]
Lighten = Callable[[GenerationRequest], GenerationRequest | None]


class Progress(Protocol):
    """Hears of the run as it goes; ``number`` counts from 1."""

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None: ...

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None: ...

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None: ...


class PlanFailed(WarmupFailed):
    """Carries the report of how far it came."""

    def __init__(self, message: str, report: WarmupReport) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True, slots=True)
class Course:
    """How a plan is run. ``submit``: the way that users' requests take. ``request_timeout``:
    seconds for each pass. ``lighten``: the next smaller request, None at the floor. ``compiled``:
    each shape also runs as a user's request would.
    """

    submit: Submit
    request_timeout: float
    progress: Progress
    lighten: Lighten = lambda _: None
    compiled: bool = False


async def run_plan(
    plan: Sequence[GenerationRequest], course: Course, report: WarmupReport
) -> WarmupReport:
    """Run every shape until it is steady.

    Raises:
        PlanFailed: with the shape and the reason; its ``report`` holds what was reached.
    """
    started = time.monotonic()
    report = replace(report, of=len(plan))
    for request in plan:
        course.progress.shape_started(request, report)
        shape = await _prove_what_fits(request, course)
        report = replace(
            report,
            shapes=(*report.shapes, shape),
            seconds=time.monotonic() - started,
            failure=shape.failure,
        )
        left = len(plan) - report.done
        report = replace(report, eta_s=round(report.seconds / report.done * left, 1))
        course.progress.shape_done(shape, report)
        if shape.failure is not None:
            asked = shape.asked or shape.shape
            raise PlanFailed(f"warmup of {asked} failed: {shape.failure}", report)
    return report


async def _prove_what_fits(request: GenerationRequest, course: Course) -> ShapeReport:
    """W24: prove the shape, or the largest smaller one for which there is memory."""
    tried: GenerationRequest | None = request
    reason = ""
    for _ in range(MOST_RETRIES + 1):
        if tried is None:
            break
        last = tried
        try:
            shape = await _prove(last, course)
        except OutOfMemory as error:
            reason = str(error)
            log.warning("warmup_out_of_memory", shape=str(last.shape))
            tried = course.lighten(last)
        else:
            return _asked(shape, request)
    failed = ShapeReport(last.shape, last.sampling.num_inference_steps, failure=reason)
    return _asked(failed, request)


def _asked(shape: ShapeReport, request: GenerationRequest) -> ShapeReport:
    """With the planned shape, where it became another one."""
    return shape if shape.shape == request.shape else replace(shape, asked=request.shape)


async def _prove(request: GenerationRequest, course: Course) -> ShapeReport:
    """Repeat one shape until a pass is within tolerance of the one before (W22).

    Raises:
        OutOfMemory: the device has no room for it.
    """
    shape = ShapeReport(request.shape, request.sampling.num_inference_steps)
    for number in range(1, MOST_PASSES + 1):
        one = replace(
            request,
            id=f"{request.id}-{number}",
            prompts=_prompts(request, number),
            previews=0,
        )
        try:
            seconds, generation = await _pass(one, f"pass {number}", course)
        except _PassFailed as failed:
            return replace(shape, failure=str(failed))
        course.progress.pass_done(request, number, seconds)
        shape = replace(
            shape,
            passes=(*shape.passes, seconds),
            compiles=(*shape.compiles, generation.compiles),
        )
        if number > 1 and steady(*shape.passes[-2:]) and generation.compiles == 0:
            shape = replace(shape, settled=True)
            break
    else:
        log.warning("warmup_not_settled", shape=str(shape.shape), passes=shape.passes)
    if request.previews:
        shape = await _look_on(request, shape, course)
    ready = course.compiled and shape.failure is None
    return await _run_for_real(request, shape, course) if ready else shape


async def _look_on(request: GenerationRequest, shape: ShapeReport, course: Course) -> ShapeReport:
    """W40: what a user may ask to see on the way is warm as well. It is no pass: what it costs is
    no part of what the shape costs."""
    try:
        await _pass(replace(request, id=f"{request.id}-preview"), "the preview", course)
    except _PassFailed as failed:
        return replace(shape, failure=str(failed))
    return shape


async def _run_for_real(
    request: GenerationRequest, shape: ShapeReport, course: Course
) -> ShapeReport:
    """W17: what is compiled for warmup requests alone is of no use to users."""
    for number in range(1, MOST_REAL_PASSES + 1):
        one = replace(
            request,
            id=f"{request.id}-real-{number}",
            prompts=(REAL_PROMPT,) * len(request.prompts),
            warmup=False,
            previews=0,
        )
        try:
            seconds, generation = await _pass(one, f"real pass {number}", course)
        except _PassFailed as failed:
            return replace(shape, failure=str(failed))
        shape = replace(
            shape,
            real_passes=(*shape.real_passes, seconds),
            real_compiles=(*shape.real_compiles, generation.compiles),
        )
        if generation.compiles == 0:
            return shape
    log.warning("warmup_still_compiles", shape=str(shape.shape), compiles=shape.real_compiles)
    return replace(shape, settled=False)


class _PassFailed(Exception):
    """With the reason for the report."""


async def _pass(request: GenerationRequest, name: str, course: Course) -> tuple[float, Generation]:
    """Seconds, seen as a client sees them, and what was drawn."""
    started = time.monotonic()
    limit = course.request_timeout
    try:
        generation = await course.submit(replace(request, deadline=started + limit))
    except DeadlineExceeded:
        reason = f"{name} took longer than --warmup-request-timeout {limit:g}"
        raise _PassFailed(reason) from None
    except OutOfMemory:
        raise
    except RequestError as error:
        raise _PassFailed(str(error)) from error
    return time.monotonic() - started, generation


def _prompts(request: GenerationRequest, number: int) -> tuple[str, ...]:
    """Each pass has a prompt of its own: one whose embedding is in the engine's cache already would
    flatter all passes but the first."""
    return request.prompts if number == 1 else tuple(f"{p} {number}" for p in request.prompts)


def steady(before: float, after: float) -> bool:
    """W22: within 10 % or 5 ms."""
    return abs(after - before) <= max(RELATIVE_TOLERANCE * before, ABSOLUTE_TOLERANCE)
