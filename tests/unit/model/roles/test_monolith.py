"""W06, W20, W23 and W25 through the monolithic role, with an engine that fails on demand. The real
one is drilled with real servers; here are the faults that it will not produce.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from model.configuration.resolve import resolve
from model.contract.adapter import Adapter
from model.contract.compilation import Compilations
from model.contract.generation import CacheUse, Generation, GenerationRequest, Timings
from model.contract.sampling import ModelDescription, SamplingDefaults, Task
from model.contract.state import State
from model.contract.warmup import OnFailure
from model.contract.watching import Watch
from model.engine.process import EngineProcess
from model.engine.ranked import RankedEngine
from model.errors import (
    EngineDied,
    EngineLost,
    GenerationFailed,
    InvalidRequest,
    InvalidSettings,
    NotReady,
    OutOfMemory,
    ShapeRefused,
    StartupError,
    StartupTimeout,
    WarmupFailed,
)
from model.media.encode import EncodePool
from model.pipelines.requests import Ask
from model.roles.monolith import Monolith
from model.roles.server_state import ServerState
from model.telemetry.metrics import Metrics

MODEL = ModelDescription(
    pipeline="SomePipeline",
    family="some",
    tasks=(Task.TEXT_TO_IMAGE,),
    defaults=SamplingDefaults(width=64, height=64, num_inference_steps=8, guidance_scale=2.0),
    alignment=16,
    accepted={
        Task.TEXT_TO_IMAGE: frozenset({"width", "height", "num_inference_steps", "guidance_scale"})
    },
    cancellable=True,
    device="cpu",
    dtype="float32",
    revision="abc",
)
FOX = Ask(prompts=("a fox",))
# W24: what is planned has 64 pixels a side, and is tried with 32 and 16 in their place.
ATTEMPTS = 3


class FakeEngine:
    """In the place of the engine's process: loads at once, draws at once, fails as told."""

    def __init__(self, options: Any, step_timeout: float, on_lost: Any) -> None:
        self.step_timeout = step_timeout
        self.on_lost = on_lost
        self.lost: StartupError | None = None
        self.description = MODEL
        self.hangs_while_loading = False
        self.failures: list[Exception] = []
        self.settled: list[bool] = []
        self.compilations = Compilations()
        self.prompt_cache = CacheUse()
        self.adapters: list[Adapter | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.happened: list[str] = []
        self.drawn: list[tuple[GenerationRequest, float | None]] = []

    def spawn(self) -> None: ...

    async def load(self) -> ModelDescription:
        if self.hangs_while_loading:
            await asyncio.Event().wait()
        return self.description

    async def generate(
        self,
        request: GenerationRequest,
        *,
        limit: float | None = None,
        watch: Watch | None = None,
    ) -> Generation:
        self.drawn.append((request, limit))
        if watch is not None:
            watch.on_step(1, request.sampling.num_inference_steps)
        self.happened.append("warmup" if request.warmup else "user")
        await self.gate.wait()
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, EngineDied):
                self.lost = failure
                self.on_lost(failure)
                raise EngineLost("gone")
            raise failure
        return Generation(
            id=request.id,
            pixels=np.zeros((request.pictures, 64, 64, 3), np.uint8),
            seeds=request.seeds,
            shape=request.shape,
            steps=request.sampling.num_inference_steps,
            timings=Timings(steps=(0.1, 0.1), total=0.2),
            compilations=self.compilations,
            prompt_cache=self.prompt_cache,
        )

    async def settle(self, settled: bool) -> int:
        if self.lost:
            raise EngineLost("gone")
        self.settled.append(settled)
        self.happened.append(f"settle {settled}")
        return 0

    async def change_adapter(self, adapter: Adapter | None) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.adapters.append(adapter)
        self.happened.append("change")

    async def stop(self) -> None: ...


@pytest.fixture
async def open_role(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Monolith]]:
    """Makes a role with the given settings, in the state in which ``load`` is called."""
    monkeypatch.setattr("model.roles.monolith.EngineProcess", FakeEngine)
    roles: list[Monolith] = []
    pool = EncodePool(1)

    def make(**settings: Any) -> Monolith:
        given = argparse.Namespace(workers="1", config=None, **settings)
        state = ServerState()
        state.enter(State.LOADING)
        roles.append(Monolith(resolve(given, {}), state, Metrics(CollectorRegistry()), pool))
        return roles[-1]

    yield make
    for each in roles:
        await each.close()
    pool.close()


def engine(role: Monolith) -> Any:
    return role._engine


async def draw(role: Monolith, **parameters: Any) -> Generation:
    return await role.generate(role.prepare(replace(FOX, parameters=parameters)))


def sample(role: Monolith, name: str) -> float | None:
    return role.metrics.registry.get_sample_value(name)


async def test_w20_load_returns_once_every_shape_is_proven(open_role: Any) -> None:
    role = open_role()
    await role.load()
    assert role.state.current is State.WARMING, "to say Ready is the server's part"
    assert all(request.warmup for request, _ in engine(role).drawn)
    assert len(engine(role).drawn) >= 2, "no proof without a second pass"
    assert role.report.failure is None
    assert (sample(role, "kiln_warmup_shapes"), sample(role, "kiln_warmup_shapes_done")) == (1, 1)
    assert {"loaded", "warm"} <= role.state.timeline.keys()
    assert not (await draw(role)).cold_shape
    other = await draw(role, width=128)
    assert other.cold_shape


@pytest.mark.parametrize("failure", [OutOfMemory("no room"), GenerationFailed("it broke")])
async def test_w25_abort_is_the_default_and_ends_the_start(
    open_role: Any, failure: Exception
) -> None:
    role = open_role()
    engine(role).failures = [failure] * ATTEMPTS
    with pytest.raises(WarmupFailed, match=f"text-to-image 64x64.* failed: {failure}"):
        await role.load()
    assert role.report.failure == str(failure)
    assert "warm" not in role.state.timeline


@pytest.mark.parametrize("choice", [OnFailure.DEGRADED, OnFailure.READY])
async def test_w25_going_on_is_told_where_it_was_asked_for(
    open_role: Any, choice: OnFailure
) -> None:
    role = open_role(warmup_on_failure=str(choice))
    engine(role).failures = [OutOfMemory("no room")] * ATTEMPTS
    await role.load()
    assert sample(role, "kiln_warmup_failed") == 1
    assert role.report.failure == "no room"
    told = role.state.degraded
    assert (told is not None and "no room" in told) == (choice is OnFailure.DEGRADED)
    assert (await draw(role)).cold_shape, "nothing was proven"


@pytest.mark.parametrize("choice", OnFailure)
async def test_w25_no_choice_turns_a_dead_engine_ready(open_role: Any, choice: OnFailure) -> None:
    role = open_role(warmup_on_failure=str(choice))
    died = EngineDied("killed by signal 9")
    engine(role).failures = [died]
    with pytest.raises(EngineDied) as raised:
        await role.load()
    assert raised.value is died
    assert role.state.failure is died
    assert role.state.degraded is None
    with pytest.raises(EngineLost, match="signal 9"):
        await draw(role)


async def test_w24_a_server_with_less_memory_is_ready_for_less_and_says_so(
    open_role: Any,
) -> None:
    role = open_role()
    engine(role).failures = [OutOfMemory("no room")]
    await role.load()
    assert sample(role, "kiln_warmup_degraded_shapes") == 1
    assert sample(role, "kiln_warmup_failed") == 0
    assert role.state.degraded == (
        "no memory for 1 of 1 planned shapes: text-to-image 64x64 batch 1 cfg to text-to-image "
        "32x32 batch 1 cfg"
    )
    with pytest.raises(ShapeRefused, match=r"64x64 is above 1024 pixels.* is text-to-image 32x32"):
        await draw(role)
    assert not (await draw(role, width=32, height=32)).cold_shape


@pytest.mark.parametrize(("compile_mode", "real"), [("off", 0), ("regional", 1), ("full", 1)])
async def test_w17_with_compiled_code_a_shape_also_runs_as_a_users_request(
    open_role: Any, compile_mode: str, real: int
) -> None:
    role = open_role(compile=compile_mode, warmup_request_timeout="900")
    await role.load()
    unmarked = [(each, limit) for each, limit in engine(role).drawn if not each.warmup]
    assert len(unmarked) == real
    assert len(role.report.shapes[0].real_passes) == real
    assert all(limit == 900.0 for _, limit in unmarked), "it, too, may compile for minutes"
    assert sample(role, "kiln_images_total") == 0, "W28: it is no user's"


async def test_w40_cold_shapes_are_refused_where_the_server_was_told_so(open_role: Any) -> None:
    role = open_role(unwarmed_shapes="reject")
    await role.load()
    with pytest.raises(ShapeRefused, match=r"128x64.*is not warm.*warm are text-to-image 64x64"):
        await draw(role, width=128)
    assert not (await draw(role)).cold_shape


async def test_w04_a_plan_that_does_not_fit_the_model_ends_the_start(open_role: Any) -> None:
    role = open_role(warmup_resolutions="64x64,100x64")
    with pytest.raises(InvalidSettings, match="warmup_resolutions: 100x64: both sides must be"):
        await role.load()
    assert engine(role).drawn == [], "it is told before anything is drawn"


async def test_w28_no_users_figure_moves_in_warmup(open_role: Any) -> None:
    """Real passes included, which the engine cannot tell from users' requests."""
    role = open_role(warmup_batch_sizes="1,2")
    await role.load()
    of_warmup = ("kiln_warmup", "kiln_first_over_steady", "kiln_state", "kiln_startup")
    moved = [
        each.name
        for family in role.metrics.registry.collect()
        for each in family.samples
        if each.value and not each.name.startswith(of_warmup) and "_created" not in each.name
    ]
    assert moved == []


async def test_w23_a_start_that_hangs_is_a_failure(open_role: Any) -> None:
    role = open_role(startup_timeout="0.01")
    engine(role).hangs_while_loading = True
    with pytest.raises(StartupTimeout, match=r"after --startup-timeout 0\.01 s, while loading"):
        await asyncio.wait_for(role.load(), 10)


async def test_w23_a_short_deadline_of_warmup_does_not_make_a_slow_step_a_hang(
    open_role: Any,
) -> None:
    """The deadline is the request's and ends it at the next step; the limit is the engine's, and
    ends the process."""
    role = open_role(warmup_request_timeout="0.05", step_timeout="100")
    await role.load()
    await draw(role)
    limits = {request.warmup: limit or role.settings.step_timeout
              for request, limit in engine(role).drawn}  # fmt: skip
    assert limits == {True: 100.0, False: 100.0}


async def test_w23_a_warmup_step_may_take_as_long_as_its_request(open_role: Any) -> None:
    """Compiling happens in the first step, and takes minutes."""
    role = open_role(warmup_request_timeout="900", step_timeout="100")
    await role.load()
    assert {limit for _, limit in engine(role).drawn} == {900.0}


async def test_defaults_that_cannot_be_drawn_are_a_failed_warmup(open_role: Any) -> None:
    role = open_role()
    engine(role).description = replace(MODEL, defaults=replace(MODEL.defaults, width=100))
    with pytest.raises(WarmupFailed, match=r"own defaults cannot be drawn.*width"):
        await role.load()


async def test_w33_an_engine_that_dies_after_its_last_warm_pass_fails_the_start(
    open_role: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = open_role()
    died = EngineDied("killed by signal 9")

    async def settle(_: bool) -> int:
        engine(role).lost = died
        raise EngineLost("gone")

    monkeypatch.setattr(engine(role), "settle", settle)
    with pytest.raises(EngineDied, match="signal 9"):
        await role.load()


async def test_w06_the_first_request_is_preceded_by_its_copy_once(open_role: Any) -> None:
    role = open_role(warmup_mode="request")
    await role.load()
    assert engine(role).drawn == []
    await asyncio.gather(*(draw(role) for _ in range(3)))
    marks = [request.warmup for request, _ in engine(role).drawn]
    assert marks == [True, False, False, False], "the others wait for the copy, too"
    assert sample(role, "kiln_images_total") == 3
    assert sample(role, "kiln_step_seconds_count") == 6
    assert role.report.done == 1


async def test_w06_a_copy_that_fails_costs_the_user_nothing_and_is_tried_again(
    open_role: Any,
) -> None:
    role = open_role(warmup_mode="request")
    await role.load()
    engine(role).failures = [GenerationFailed("it broke")]
    assert (await draw(role)).cold_shape
    assert not (await draw(role)).cold_shape
    marks = [request.warmup for request, _ in engine(role).drawn]
    assert marks == [True, False, True, False]


async def test_w40_compiling_ends_with_the_warmup_whatever_its_mode(open_role: Any) -> None:
    server, request, off = (open_role(warmup_mode=each) for each in ("server", "request", "off"))
    for role in (server, request, off):
        await role.load()
    assert [engine(each).settled for each in (server, request, off)] == [[True], [], []]
    for role in (request, off):
        await draw(role)
    assert engine(request).settled == [True], "after the copy of the first request"
    assert engine(off).settled == [], "it would never compile anything"


async def test_w21_one_engine_that_fails_its_warmup_keeps_the_server_from_ready(
    open_role: Any,
) -> None:
    role = open_role(engines="2")
    first, second = role._engine._engines
    second.failures = [GenerationFailed("it broke")]
    with pytest.raises(WarmupFailed, match="it broke"):
        await role.load()
    assert role.report.failure == "it broke"
    assert "warm" not in role.state.timeline
    assert {request.engine for request, _ in first.drawn} <= {0}


async def test_w21_losing_one_engine_loses_the_server(open_role: Any) -> None:
    role = open_role(engines="2")
    await role.load()
    role._engine._engines[1].failures = [died := EngineDied("killed by signal 9")]
    found = await asyncio.gather(draw(role), draw(role), return_exceptions=True)
    assert [isinstance(each, EngineLost) for each in found].count(True) == 1
    assert role.state.failure is died


async def test_w21_the_copy_of_the_first_request_runs_on_every_engine(open_role: Any) -> None:
    role = open_role(engines="2", warmup_mode="request")
    await role.load()
    assert not (await draw(role)).cold_shape
    for number, each in enumerate(role._engine._engines):
        assert each.drawn[0][0].warmup
        assert {request.engine for request, _ in each.drawn} == {number}
    assert (role.report.done, role.report.of) == (2, 2)


async def test_w41_what_compiles_after_ready_is_counted_by_kind(open_role: Any) -> None:
    role = open_role()
    engine(role).compilations = Compilations(1, 0, 0)
    await role.load()
    role.state.enter(State.READY)

    def counted(kind: str) -> float | None:
        return role.metrics.registry.get_sample_value(
            "kiln_compiles_after_ready_total", {"kind": kind}
        )

    kinds = ("compile", "recompile", "autotune")
    assert [counted(each) for each in kinds] == [0, 0, 0], "what warmup compiled is not counted"
    engine(role).compilations = Compilations(1, 2, 3)
    await draw(role)
    assert [counted(each) for each in kinds] == [1, 2, 3]


async def test_w40_what_ran_eagerly_is_counted_by_the_warmth_of_its_shape(
    open_role: Any,
) -> None:
    role = open_role()
    await role.load()

    def counted() -> list[float | None]:
        return [
            role.metrics.registry.get_sample_value("kiln_eager_requests_total", {"shape": each})
            for each in ("warm", "cold")
        ]

    await draw(role)
    assert counted() == [0, 0]
    engine(role).compilations = Compilations(eager_calls=7)
    assert (await draw(role)).eager_calls == 7
    assert counted() == [1, 0]
    assert (await draw(role, width=32)).cold_shape
    assert counted() == [1, 1]


async def test_w43_hits_and_misses_are_those_of_users(open_role: Any) -> None:
    role = open_role()
    engine(role).prompt_cache = CacheUse(hits=2, misses=1, bytes=100)
    await role.load()
    names = [f"kiln_prompt_cache_{each}" for each in ("hits_total", "misses_total", "bytes")]
    assert [sample(role, each) for each in names] == [0, 0, 100]
    await draw(role)
    assert [sample(role, each) for each in names] == [2, 1, 100]


STYLE = Adapter("style", 0.5)


async def ready(role: Monolith) -> Monolith:
    """Loaded, and what the server does then."""
    await role.load()
    role.state.enter(State.READY)
    return role


async def test_w42_other_weights_unprove_all_shapes_and_warm_them_up_again(open_role: Any) -> None:
    role = await ready(open_role())
    proven = role.report.proven_shapes
    engine(role).happened.clear()
    role.unprove()
    assert role.state.current is State.WARMING
    await role.change_adapter(STYLE)
    assert role.adapter == STYLE
    assert engine(role).adapters == [STYLE]
    first, *middle, last = engine(role).happened
    assert (first, middle[0], last) == ("settle False", "change", "settle True")
    assert set(middle[1:]) == {"warmup"}
    assert len(middle[1:]) >= 2, "no proof without a second pass"
    assert role.report.proven_shapes == proven
    assert role.report.done == role.report.of == 1, "a report of its own"
    role.state.enter(State.READY)
    assert not (await draw(role)).cold_shape


async def test_w42_who_was_let_in_finishes_before_the_weights_change(open_role: Any) -> None:
    role = await ready(open_role())
    engine(role).happened.clear()
    engine(role).gate.clear()
    users = [asyncio.create_task(draw(role)) for _ in range(2)]
    for _ in range(5):  # let them come to the engine
        await asyncio.sleep(0)
    role.unprove()
    changing = asyncio.create_task(role.change_adapter(STYLE))
    late = asyncio.create_task(draw(role))
    with pytest.raises(NotReady, match="weights are being changed"):
        await late
    assert "change" not in engine(role).happened
    assert role.report.proven_shapes, "theirs is still warm"
    engine(role).gate.set()
    assert not any(each.cold_shape for each in await asyncio.gather(*users))
    await changing
    assert engine(role).happened[:4] == ["user", "user", "settle False", "change"]


@pytest.mark.parametrize("failure", [GenerationFailed("no such layer"), EngineLost("gone")])
async def test_w42_weights_that_cannot_be_changed_end_the_server(
    open_role: Any, failure: Exception
) -> None:
    role = await ready(open_role())
    role.unprove()
    engine(role).failures = [failure]
    with pytest.raises(WarmupFailed, match=f"weights could not be changed: {failure}"):
        await role.change_adapter(STYLE)
    assert role.adapter is None
    assert not role.report.proven_shapes


async def test_w42_a_failed_warmup_of_other_weights_is_as_one_of_the_start(open_role: Any) -> None:
    role = await ready(open_role())

    async def change(adapter: Adapter | None) -> None:
        engine(role).failures = [GenerationFailed("it broke")]

    engine(role).change_adapter = change
    role.unprove()
    with pytest.raises(WarmupFailed, match="it broke"):
        await role.change_adapter(STYLE)


async def test_w42_in_request_mode_the_next_request_is_preceded_by_a_copy_again(
    open_role: Any,
) -> None:
    role = await ready(open_role(warmup_mode="request"))
    await draw(role)
    role.unprove()
    await role.change_adapter(STYLE)
    assert role.report.done == 0
    role.state.enter(State.READY)
    engine(role).happened.clear()
    await draw(role)
    assert engine(role).happened == ["warmup", "settle True", "user"]


async def test_a_wrong_request_reaches_neither_queue_nor_engine(open_role: Any) -> None:
    role = open_role(warmup_mode="off")
    await role.load()
    with pytest.raises(InvalidRequest, match="prompt: is empty"):
        role.prepare(Ask(("",)))
    assert engine(role).drawn == []


async def test_before_a_model_is_loaded_nothing_is_prepared(open_role: Any) -> None:
    with pytest.raises(EngineLost, match="no model is loaded"):
        open_role().prepare(FOX)


async def test_closing_refuses_what_comes(open_role: Any) -> None:
    role = open_role(warmup_mode="off")
    await role.load()
    await role.close()
    with pytest.raises(EngineLost, match="stopping"):
        await draw(role)


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, [EngineProcess]),
        ({"cfg_parallel": True}, [RankedEngine]),
        ({"cfg_parallel": True, "engines": 2}, [RankedEngine, RankedEngine]),
    ],
)
def test_w21_each_engine_has_its_ranks_on_consecutive_devices(
    settings: dict[str, Any], kinds: list[type]
) -> None:
    given = argparse.Namespace(workers="1", config=None, **settings)
    role = Monolith(resolve(given, {}), ServerState(), Metrics(CollectorRegistry()), EncodePool(1))
    made: Any = role._engine
    engines = getattr(made, "_engines", [made])
    assert [type(each) for each in engines] == kinds
    processes = [rank for each in engines for rank in getattr(each, "_ranks", [each])]
    assert [each._options.number for each in processes] == [*range(len(processes))]


async def test_w14_a_model_that_draws_in_one_pass_is_refused_whatever_the_warmup(
    open_role: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.roles.monolith.RankedEngine", FakeEngine)
    role = open_role(cfg_parallel="true", warmup_mode="off")
    engine(role).description = replace(
        MODEL,
        pipeline="StableDiffusionPipeline",
        defaults=replace(MODEL.defaults, guidance_scale=1.0),
    )
    with pytest.raises(InvalidSettings, match="cfg_parallel: StableDiffusionPipeline draws in one"):
        await role.load()
