"""W21: every engine runs the whole plan, and a server is warm when all of them are."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..contract.generation import GenerationRequest
from .report import ShapeReport, WarmupReport
from .runner import Course, PlanFailed, Progress, run_plan


async def run_everywhere(
    plan: Sequence[GenerationRequest], course: Course, report: WarmupReport, engines: int
) -> WarmupReport:
    """Run the plan on all engines, side by side.

    Raises:
        PlanFailed: on one engine; the others are broken off.
    """
    whole = _Whole(course.progress, report, engines, len(plan))
    try:
        async with asyncio.TaskGroup() as runs:
            for engine in range(engines):
                own_plan = [replace(each, engine=engine) for each in plan]
                own_course = replace(course, progress=_Part(whole, engine))
                runs.create_task(run_plan(own_plan, own_course, report))
    except* PlanFailed as failures:
        first = failures.exceptions[0]
        raise PlanFailed(str(first), whole.report) from first
    return whole.report


def merged(empty: WarmupReport, parts: Mapping[int, WarmupReport]) -> WarmupReport:
    """One report of those of several engines, by number."""
    found = [parts[engine] for engine in sorted(parts)]
    return replace(
        empty,
        shapes=tuple(
            replace(shape, engine=engine)
            for engine in sorted(parts)
            for shape in parts[engine].shapes
        ),
        seconds=max((each.seconds for each in found), default=0.0),
        eta_s=max((each.eta_s for each in found if each.eta_s is not None), default=None),
        failure=next((each.failure for each in found if each.failure), None),
    )


class _Whole:
    """The report of all engines, put together from theirs."""

    def __init__(self, progress: Progress, empty: WarmupReport, engines: int, plan: int) -> None:
        self.progress = progress
        self.empty = replace(empty, engines=engines, of=engines * plan)
        self.parts: dict[int, WarmupReport] = {}

    @property
    def report(self) -> WarmupReport:
        return merged(self.empty, self.parts)


class _Part:
    """Hears of one engine's run, and tells of all."""

    def __init__(self, whole: _Whole, engine: int) -> None:
        self._whole = whole
        self._engine = engine

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None:
        self._whole.parts[self._engine] = report
        self._whole.progress.shape_started(request, self._whole.report)

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None:
        self._whole.progress.pass_done(request, number, seconds)

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None:
        self._whole.parts[self._engine] = report
        whole = self._whole.report
        self._whole.progress.shape_done(replace(shape, engine=self._engine), whole)
