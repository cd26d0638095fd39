"""W22 and W23: the proof, by a fake way to the engine whose clock the test sets."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from model.contract.compilation import Compilations
from model.contract.generation import Generation, GenerationRequest
from model.contract.warmup import WarmupMode
from model.errors import DeadlineExceeded, GenerationFailed, OutOfMemory
from model.settings import Settings
from model.warmup import runner
from model.warmup.plan import build_plan
from model.warmup.report import ShapeReport, WarmupReport
from model.warmup.runner import (
    MOST_PASSES,
    MOST_REAL_PASSES,
    MOST_RETRIES,
    REAL_PROMPT,
    Course,
    PlanFailed,
    run_plan,
    steady,
)

TIMEOUT = 30.0
REPORT = WarmupReport(WarmupMode.SERVER, "default")


class Clock:
    """``time`` for the runner: passes last what the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Engine:
    """Each pass takes the next of ``seconds`` and compiles the next of ``compiles``; an exception
    among the seconds is raised."""

    def __init__(
        self, clock: Clock, seconds: Sequence[float | Exception], compiles: Sequence[int] = ()
    ) -> None:
        self.clock = clock
        self.seconds = list(seconds)
        self.compiles = [*compiles, *[0] * len(self.seconds)]
        self.requests: list[GenerationRequest] = []

    async def submit(self, request: GenerationRequest) -> Generation:
        self.requests.append(request)
        lasts = self.seconds.pop(0)
        if isinstance(lasts, Exception):
            raise lasts
        self.clock.now += lasts
        return Generation(
            id=request.id,
            pixels=None,
            seeds=request.seeds,
            shape=request.shape,
            steps=request.sampling.num_inference_steps,
            timings=Any,
            compilations=Compilations(self.compiles.pop(0)),
        )


class Heard:
    """Writes down what a progress display hears."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def shape_started(self, request: GenerationRequest, report: WarmupReport) -> None:
        self.events.append(("started", (report.done, report.of)))

    def pass_done(self, request: GenerationRequest, number: int, seconds: float) -> None:
        self.events.append(("pass", (number, round(seconds, 3))))

    def shape_done(self, shape: ShapeReport, report: WarmupReport) -> None:
        self.events.append(("done", (report.done, report.of, report.eta_s)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(runner, "time", made)
    return made


@pytest.fixture
def plan(described: Callable[..., Any], settings: Settings) -> tuple[GenerationRequest, ...]:
    return build_plan(described(), settings)


async def run(
    plan: Sequence[GenerationRequest], engine: Engine, heard: Heard | None = None, **how: Any
) -> WarmupReport:
    course = Course(engine.submit, TIMEOUT, heard or Heard(), **how)
    return await run_plan(plan, course, REPORT)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1.0, 1.0, True),
        (1.0, 1.09, True),
        (1.0, 0.91, True),
        (1.0, 1.11, False),
        (1.0, 0.89, False),
        (0.010, 0.0149, True),
        (0.010, 0.0051, True),
        (0.010, 0.0151, False),
        (10.0, 1.0, False),
    ],
)
def test_w22_steady_means_within_a_tenth_or_5_ms(
    before: float, after: float, expected: bool
) -> None:
    assert steady(before, after) is expected


@pytest.mark.parametrize(
    ("seconds", "compiles", "passes", "settled"),
    [
        ([9.0, 9.0], [], 2, True),
        ([9.0, 1.0, 1.05], [], 3, True),
        ([9.0, 3.0, 1.0, 1.0], [], 4, True),
        ([9.0, 3.0, 1.0, 0.5], [], 4, False),
        ([9.0, 9.0, 9.0], [1, 1, 0], 3, True),
        ([9.0, 9.0, 9.0, 9.0], [1, 1, 1, 1], 4, False),
        ([9.0, 9.0, 1.0, 1.0], [3, 1, 0, 0], 4, True),
    ],
    ids=["at once", "third", "fourth", "never", "compiled", "compiles on", "compiled and settles"],
)
async def test_w22_a_shape_repeats_until_it_is_steady_and_compiles_nothing(
    clock: Clock,
    plan: Any,
    seconds: list[float],
    compiles: list[int],
    passes: int,
    settled: bool,
) -> None:
    engine = Engine(clock, [*seconds, *[99.0] * 3], compiles)
    report = await run(plan, engine)
    (shape,) = report.shapes
    assert shape.passes == pytest.approx(tuple(seconds[:passes]))
    assert len(engine.requests) == passes <= MOST_PASSES
    assert shape.settled is settled
    assert shape.proven, "four passes are proof enough: a fifth would be no steadier"
    assert shape.first_over_steady == pytest.approx(seconds[0] / seconds[passes - 1], abs=1e-3)
    assert report.proven_shapes == {plan[0].shape}


async def test_w22_the_report_says_what_happened(clock: Clock, plan: Any) -> None:
    report = await run(plan, Engine(clock, [4.0, 1.0, 1.0], [2, 0, 0]))
    told = report.as_json()
    assert (told["mode"], told["reason"]) == ("server", "default")
    assert (told["done"], told["of"], told["eta_s"]) == (1, 1, 0.0)
    assert (told["seconds"], told["failure"]) == (6.0, None)
    assert told["degraded_shapes"] == 0
    (shape,) = told["shapes"]
    assert shape == {
        "shape": str(plan[0].shape),
        "task": "text-to-image",
        "width": 128,
        "height": 64,
        "batch": 1,
        "cfg": False,
        "image_in": False,
        "frames": 1,
        "engine": 0,
        "steps": 2,
        "passes": [4.0, 1.0, 1.0],
        "compiles": [2, 0, 0],
        "real_passes": [],
        "real_compiles": [],
        "settled": True,
        "proven": True,
        "first_over_steady": 4.0,
        "degraded": False,
        "asked": None,
        "failure": None,
    }


async def test_w23_every_pass_has_a_deadline_and_an_id_of_its_own(clock: Clock, plan: Any) -> None:
    engine = Engine(clock, [4.0, 1.0, 1.0])
    await run(plan, engine)
    assert [each.deadline for each in engine.requests] == [130.0, 134.0, 135.0]
    assert len({each.id for each in engine.requests}) == 3
    assert all(each.warmup for each in engine.requests)


async def test_w23_a_pass_that_takes_too_long_is_a_failure_that_names_the_setting(
    clock: Clock, plan: Any
) -> None:
    engine = Engine(clock, [1.0, DeadlineExceeded("late"), 1.0])
    with pytest.raises(PlanFailed, match="pass 2 took longer than --warmup-request-timeout 30"):
        await run(plan, engine)
    assert len(engine.requests) == 2


async def test_w22_a_failure_ends_the_run_with_the_report_so_far(clock: Clock, plan: Any) -> None:
    other = replace(plan[0], sampling=replace(plan[0].sampling, width=64))
    third = replace(plan[0], sampling=replace(plan[0].sampling, width=32))
    engine = Engine(clock, [1.0, 1.0, GenerationFailed("the pipeline failed"), 1.0])
    heard = Heard()
    with pytest.raises(PlanFailed, match=r"64x64.*the pipeline failed") as failed:
        await run([*plan, other, third], engine, heard)
    report = failed.value.report
    assert (report.done, report.of) == (2, 3)
    assert report.failure == "the pipeline failed"
    assert report.proven_shapes == {plan[0].shape}
    broken = report.shapes[1]
    assert (broken.proven, broken.first_over_steady) == (False, None)
    assert heard.events[-1][0] == "done", "who watches hears of the failure"
    assert failed.value.exit_code == 5


async def test_the_prompt_of_each_pass_is_its_own(
    clock: Clock, described: Any, settings: Settings
) -> None:
    """A prompt cache that knew it would flatter all passes but the first."""
    batch = build_plan(described(), Settings(warmup_batch_sizes="2"))
    engine = Engine(clock, [4.0, 1.0, 1.0])
    await run(batch, engine)
    assert [each.prompts for each in engine.requests] == [
        ("warmup", "warmup"),
        ("warmup 2", "warmup 2"),
        ("warmup 3", "warmup 3"),
    ]
    assert batch[0].prompts == ("warmup", "warmup"), "the planned request is not touched"


# -- W17: with compiled code --------------------------------------------------------------------


async def test_w17_a_compiled_shape_also_runs_as_a_users_request_would(
    clock: Clock, plan: Any
) -> None:
    engine = Engine(clock, [4.0, 1.0, 1.0, 1.5], [2, 0, 0, 0])
    report = await run(plan, engine, compiled=True)
    *marked, real = engine.requests
    assert [each.warmup for each in marked] == [True] * 3
    assert (real.warmup, real.prompts) == (False, (REAL_PROMPT,))
    assert real.deadline == pytest.approx(106.0 + TIMEOUT), "W23 holds for it, too"
    (shape,) = report.shapes
    assert (shape.real_passes, shape.real_compiles) == ((pytest.approx(1.5),), (0,))
    assert shape.settled
    assert shape.first_over_steady == 4.0, "it is not one of the passes"


@pytest.mark.parametrize(("compiles", "settled"), [([1, 0], True), ([1, 1], False)])
async def test_w17_a_real_pass_that_compiles_is_repeated_once(
    clock: Clock, plan: Any, compiles: list[int], settled: bool
) -> None:
    engine = Engine(clock, [1.0] * 6, [0, 0, *compiles, 9])
    (shape,) = (await run(plan, engine, compiled=True)).shapes
    assert shape.real_compiles == tuple(compiles)
    assert len(shape.real_passes) == MOST_REAL_PASSES
    assert shape.settled is settled


async def test_w17_a_real_pass_that_fails_fails_the_warmup(clock: Clock, plan: Any) -> None:
    engine = Engine(clock, [1.0, 1.0, GenerationFailed("only for users")])
    with pytest.raises(PlanFailed, match="only for users"):
        await run(plan, engine, compiled=True)
    late = Engine(clock, [1.0, 1.0, DeadlineExceeded("late")])
    with pytest.raises(PlanFailed, match="real pass 1 took longer than --warmup-request-timeout"):
        await run(plan, late, compiled=True)


async def test_w17_without_compiled_code_there_is_no_such_pass(clock: Clock, plan: Any) -> None:
    engine = Engine(clock, [1.0, 1.0])
    await run(plan, engine)
    assert len(engine.requests) == 2


# -- W24: out of memory -------------------------------------------------------------------------

NO_ROOM = OutOfMemory("no room")


def halved(request: GenerationRequest) -> GenerationRequest | None:
    """Half the width, down to 16 pixels."""
    width = request.sampling.width // 2
    if width < 16:
        return None
    return replace(request, sampling=replace(request.sampling, width=width))


@pytest.mark.parametrize(
    ("seconds", "width"),
    [([NO_ROOM], 64), ([NO_ROOM] * 3, 16), ([9.0, NO_ROOM], 64), ([9.0, 1.0, NO_ROOM], 64)],
    ids=["at once", "three times", "on the second pass", "on the third"],
)
async def test_w24_a_shape_without_room_is_shrunk_and_the_smaller_one_is_proven(
    clock: Clock, plan: Any, seconds: list[Any], width: int
) -> None:
    engine = Engine(clock, [*seconds, 2.0, 2.0])
    report = await run(plan, engine, lighten=halved)
    (shape,) = report.shapes
    assert shape.asked == plan[0].shape
    assert (shape.shape.width, shape.shape.height) == (width, 64)
    assert shape.proven
    assert shape.passes == pytest.approx((2.0, 2.0)), "those of the shape that is proven"
    assert report.proven_shapes == {shape.shape}
    assert plan[0].sampling.width == 128, "the original request is not touched"
    told = report.as_json()
    assert told["degraded_shapes"] == 1
    assert (told["shapes"][0]["degraded"], told["shapes"][0]["asked"]) == (
        True,
        str(plan[0].shape),
    )
    assert report.degraded is not None
    assert f"{plan[0].shape} to {shape.shape}" in report.degraded


async def test_w24_three_smaller_shapes_are_tried_and_then_it_is_a_failure(
    clock: Clock, plan: Any
) -> None:
    engine = Engine(clock, [NO_ROOM] * 9)
    with pytest.raises(PlanFailed, match=rf"warmup of {plan[0].shape} failed: no room") as failed:
        await run(plan, engine, lighten=lambda request: request)
    assert len(engine.requests) == 1 + MOST_RETRIES
    assert failed.value.report.proven_shapes == set()


async def test_w24_at_the_floor_it_is_a_failure(clock: Clock, plan: Any) -> None:
    engine = Engine(clock, [NO_ROOM] * 9)
    with pytest.raises(PlanFailed, match="no room") as failed:
        await run(plan, engine)
    assert len(engine.requests) == 1
    assert failed.value.report.shapes[0].asked is None


async def test_w24_any_other_error_is_not_retried(clock: Clock, plan: Any) -> None:
    engine = Engine(clock, [GenerationFailed("it broke"), 1.0, 1.0])
    with pytest.raises(PlanFailed, match="it broke"):
        await run(plan, engine, lighten=halved)
    assert len(engine.requests) == 1


async def test_w24_the_next_shape_starts_in_full(clock: Clock, plan: Any) -> None:
    other = replace(plan[0], sampling=replace(plan[0].sampling, height=32))
    engine = Engine(clock, [NO_ROOM, 1.0, 1.0, NO_ROOM, 1.0, 1.0])
    report = await run([*plan, other], engine, lighten=halved)
    assert [each.asked for each in report.shapes] == [plan[0].shape, other.shape]
    assert report.degraded is not None
    assert "2 of 2" in report.degraded


async def test_an_error_that_is_no_answer_is_not_swallowed(clock: Clock, plan: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        await run(plan, Engine(clock, [ZeroDivisionError()]))


async def test_w26_progress_is_heard_as_it_goes(clock: Clock, plan: Any) -> None:
    other = replace(plan[0], sampling=replace(plan[0].sampling, width=64))
    heard = Heard()
    await run([*plan, other], Engine(clock, [3.0, 1.0, 1.0, 2.0, 2.0]), heard)
    assert heard.events == [
        ("started", (0, 2)),
        ("pass", (1, 3.0)),
        ("pass", (2, 1.0)),
        ("pass", (3, 1.0)),
        ("done", (1, 2, 5.0)),
        ("started", (1, 2)),
        ("pass", (1, 2.0)),
        ("pass", (2, 2.0)),
        ("done", (2, 2, 0.0)),
    ]


def test_nothing_is_proven_before_the_first_pass(plan: Any) -> None:
    shape = ShapeReport(plan[0].shape, 2)
    assert not shape.proven
    assert shape.first_over_steady is None


async def test_the_clock_is_the_runners_own(plan: Any) -> None:
    """Without the fake: passes are measured from outside, queue and transport included."""
    before = time.monotonic()
    report = await run(plan, Engine(Clock(), [0.0, 0.0, 0.0, 0.0]))
    assert 0 < report.seconds <= time.monotonic() - before


async def test_w40_a_look_on_the_way_is_warmed_once_and_is_no_pass(
    clock: Clock, described: Callable[..., Any], settings: Settings
) -> None:
    plan = build_plan(described(pipeline="FluxPipeline"), settings)
    engine = Engine(clock, [4.0, 1.0, 1.0, 9.0, 1.0])
    (shape,) = (await run(plan, engine, compiled=True)).shapes
    assert [each.previews for each in engine.requests] == [0, 0, 0, 1, 0]
    assert shape.passes == pytest.approx((4.0, 1.0, 1.0))
    assert shape.real_passes == pytest.approx((1.0,))
    assert shape.proven


async def test_w40_a_look_that_fails_fails_the_shape(
    clock: Clock, described: Callable[..., Any], settings: Settings
) -> None:
    plan = build_plan(described(pipeline="FluxPipeline"), settings)
    engine = Engine(clock, [1.0, 1.0, GenerationFailed("no VAE"), 1.0])
    with pytest.raises(PlanFailed, match="no VAE"):
        await run(plan, engine, compiled=True)
