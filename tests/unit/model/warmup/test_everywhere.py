"""W21: the plan runs on every engine, and only what all have proven is warm."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from model.contract.generation import Generation, GenerationRequest, Timings
from model.contract.sampling import ModelDescription
from model.contract.warmup import WarmupMode
from model.errors import GenerationFailed
from model.pipelines.requests import Ask, build_request
from model.settings import Settings
from model.warmup.everywhere import run_everywhere
from model.warmup.report import ShapeReport, WarmupReport
from model.warmup.runner import Course, PlanFailed

EMPTY = WarmupReport(WarmupMode.SERVER, "default")


class Engines:
    """Draw at once; those in ``broken`` fail, and those that are ``held`` wait for the end."""

    def __init__(self, broken: int | None = None, held: int | None = None) -> None:
        self.broken, self.held = broken, held
        self.drawn: list[tuple[int | None, str]] = []
        self.broken_off: list[int | None] = []

    async def submit(self, request: GenerationRequest) -> Generation:
        if request.engine == self.broken:
            raise GenerationFailed("it broke")
        if request.engine == self.held:
            try:
                await asyncio.Event().wait()
            finally:
                self.broken_off.append(request.engine)
        self.drawn.append((request.engine, str(request.shape)))
        return Generation(
            id=request.id,
            pixels=None,
            seeds=request.seeds,
            shape=request.shape,
            steps=2,
            timings=Timings(),
        )


class Heard:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.reports: list[WarmupReport] = []
        self.shapes: list[ShapeReport] = []

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None:
        self.reports.append(report)

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None: ...

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None:
        self.shapes.append(shape)
        self.reports.append(report)


@pytest.fixture
def plan(
    described: Callable[..., ModelDescription], settings: Settings
) -> tuple[GenerationRequest, ...]:
    model = described()
    return tuple(
        build_request(
            Ask(("warmup",), parameters={"num_inference_steps": 2, "width": width}), model, settings
        )
        for width in (64, 128)
    )


async def run(plan: Any, engines: Engines, heard: Heard, count: int = 2) -> WarmupReport:
    course = Course(submit=engines.submit, request_timeout=5.0, progress=heard)
    async with asyncio.timeout(5):
        return await run_everywhere(plan, course, EMPTY, count)


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_w21_every_engine_runs_every_shape(plan: Any, count: int) -> None:
    engines, heard = Engines(), Heard()
    report = await run(plan, engines, heard, count)
    expected = {(number, str(each.shape)) for number in range(count) for each in plan}
    assert set(engines.drawn) == expected
    assert (report.of, report.done, report.engines) == (2 * count, 2 * count, count)
    assert {(each.engine, str(each.shape)) for each in report.shapes} == expected
    assert {(each.engine, str(each.shape)) for each in heard.shapes} == expected
    assert report.proven_shapes == {each.shape for each in plan}
    assert {each.of for each in heard.reports} == {2 * count}, "progress counts the whole"
    assert heard.reports[-1].done == 2 * count
    assert report.as_json()["engines"] == count


async def test_w21_one_engine_that_fails_fails_the_plan_and_ends_the_others(plan: Any) -> None:
    engines, heard = Engines(broken=1, held=0), Heard()
    with pytest.raises(PlanFailed, match=f"{plan[0].shape} failed: it broke") as raised:
        await run(plan, engines, heard)
    assert engines.broken_off == [0]
    (failed,) = raised.value.report.shapes
    assert (failed.engine, failed.failure) == (1, "it broke")
    assert raised.value.report.failure == "it broke"
    assert raised.value.report.proven_shapes == frozenset()


def test_w21_what_one_engine_has_not_proven_is_not_warm(plan: Any) -> None:
    first, second = (ShapeReport(each.shape, 2, passes=(1.0,)) for each in plan)
    both = WarmupReport(WarmupMode.SERVER, "default", shapes=(first, second), engines=2)
    assert both.proven_shapes == frozenset()
    on_two = ShapeReport(plan[0].shape, 2, passes=(1.0,), engine=1)
    again = WarmupReport(WarmupMode.SERVER, "", shapes=(first, first, second, on_two), engines=2)
    assert again.proven_shapes == {plan[0].shape}
