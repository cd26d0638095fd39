"""Run a plan and prove each shape (W20, W22, W23). Fails closed: the first error ends it."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from ..contract.generation import Generation, GenerationRequest
from ..errors import DeadlineExceeded, RequestError, WarmupFailed
from ..telemetry.logs import get_logger
from .report import ShapeReport, WarmupReport

log = get_logger(__name__)

# W22: a pass within 10 % or 5 ms of the one before is steady. Four passes at most: on a machine
# that is never quiet, the fifth would be no steadier than the fourth.
RELATIVE_TOLERANCE: Final = 0.10
ABSOLUTE_TOLERANCE: Final = 0.005
MOST_PASSES: Final = 4

Submit = Callable[[GenerationRequest], Awaitable[Generation]]


class Progress(Protocol):
    """Hears of the run as it goes; ``number`` counts from 1."""

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None: ...

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None: ...

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None: ...


async def run_plan(
    plan: Sequence[GenerationRequest],
    submit: Submit,
    request_timeout: float,
    report: WarmupReport,
    progress: Progress,
) -> WarmupReport:
    """Run every shape until it is steady. ``submit`` is the way that users' requests take.

    Raises:
        WarmupFailed: with the shape and the reason; its ``report`` holds what was reached.
    """
    started = time.monotonic()
    report = replace(report, of=len(plan))
    for request in plan:
        progress.shape_started(request, report)
        shape = await _prove(request, submit, request_timeout, progress)
        report = replace(
            report,
            shapes=(*report.shapes, shape),
            seconds=time.monotonic() - started,
            failure=shape.failure,
        )
        left = len(plan) - report.done
        report = replace(report, eta_s=round(report.seconds / report.done * left, 1))
        progress.shape_done(shape, report)
        if shape.failure is not None:
            raise PlanFailed(f"warmup of {shape.shape} failed: {shape.failure}", report)
    return report


class PlanFailed(WarmupFailed):
    """Carries the report of how far it came."""

    def __init__(self, message: str, report: WarmupReport) -> None:
        super().__init__(message)
        self.report = report


async def _prove(
    request: GenerationRequest, submit: Submit, request_timeout: float, progress: Progress
) -> ShapeReport:
    """Repeat one shape until a pass is within tolerance of the one before (W22)."""
    shape = ShapeReport(request.shape, request.sampling.num_inference_steps)
    for number in range(1, MOST_PASSES + 1):
        started = time.monotonic()
        one = replace(
            request, id=f"{request.id}-{number}", deadline=started + request_timeout
        )  # fmt: skip
        try:
            generation = await submit(one)
        except DeadlineExceeded:
            reason = f"pass {number} took longer than --warmup-request-timeout {request_timeout:g}"
            return replace(shape, failure=reason)
        except RequestError as error:
            return replace(shape, failure=str(error))
        seconds = time.monotonic() - started
        progress.pass_done(request, number, seconds)
        shape = replace(
            shape,
            passes=(*shape.passes, seconds),
            compiles=(*shape.compiles, generation.compiles),
        )
        if number > 1 and steady(*shape.passes[-2:]) and generation.compiles == 0:
            return replace(shape, settled=True)
    log.warning("warmup_not_settled", shape=str(shape.shape), passes=shape.passes)
    return shape


def steady(before: float, after: float) -> bool:
    """W22: within 10 % or 5 ms."""
    return abs(after - before) <= max(RELATIVE_TOLERANCE * before, ABSOLUTE_TOLERANCE)
