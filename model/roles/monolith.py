"""The monolithic role: one engine that runs the whole pipeline, a queue before it, and warmup
through both.
"""

import asyncio
import functools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..configuration.resolve import Resolved
from ..contract.adapter import Adapter
from ..contract.compilation import CompileMode
from ..contract.generation import Generation, GenerationRequest
from ..contract.sampling import ModelDescription
from ..contract.state import State
from ..contract.warmup import OnFailure, WarmupMode
from ..contract.watching import Watch
from ..engine.caches import prepare_cache
from ..engine.group import Engine, EngineGroup
from ..engine.process import EngineProcess
from ..engine.ranked import RankedEngine
from ..errors import (
    EngineLost,
    InvalidRequest,
    NotReady,
    RequestError,
    StartupError,
    StartupTimeout,
    WarmupFailed,
)
from ..media.encode import EncodePool
from ..pipelines.guidance import check_guided
from ..pipelines.requests import Ask, build_request
from ..scheduling.queue import RequestQueue
from ..settings import Settings
from ..telemetry.logs import get_logger
from ..telemetry.metrics import Metrics
from ..warmup.admission import admit
from ..warmup.everywhere import run_everywhere
from ..warmup.ladder import lightened
from ..warmup.plan import build_plan, first_request_copy
from ..warmup.progress import Several, visible_progress
from ..warmup.report import ShapeReport, WarmupReport
from ..warmup.runner import Course, PlanFailed
from .as_files import encode_as_users
from .engine_options import engine_options
from .measures import count_compiles, measure
from .recorder import Recorder
from .server_state import ServerState

log = get_logger(__name__)


class Monolith:
    """Loads once, then generates. All methods belong to the event loop's thread."""

    def __init__(
        self, resolved: Resolved, state: ServerState, metrics: Metrics, pool: EncodePool
    ) -> None:
        self.settings: Settings = resolved.settings
        self.state = state
        self.metrics = metrics
        self.pool = pool
        self.description: ModelDescription | None = None
        self.adapter: Adapter | None = None
        mode = self.settings.warmup_mode
        self.report = self._nothing_proven = WarmupReport(
            mode, reason=resolved.sources["warmup_mode"]
        )
        self._recorder = Recorder(metrics, self._remember)
        self._changing = False
        prepare_cache(self.settings.cache_dir)
        self._engine = self._make_engine()
        self._queue = RequestQueue(
            self._execute,
            self.settings.queue_size,
            metrics.queue_depth.set,
            engines=self.settings.engines,
        )
        self._queue_runner: asyncio.Task[None] | None = None
        self._first = asyncio.Lock()
        self._first_done = mode is not WarmupMode.REQUEST

    def spawn(self) -> None:
        """Start the engine's process ahead of ``load``: it imports torch while the API process
        imports what it needs."""
        self._engine.spawn()

    async def load(self) -> None:
        """Load the pipeline and warm it up. Returns only when warm (W20).

        Raises:
            StartupError: it did not come up, with the reason.
        """
        self._queue_runner = asyncio.create_task(self._queue.run())
        limit = self.settings.startup_timeout
        try:
            async with asyncio.timeout(max(0.0, limit - self.state.seconds())):
                self.description = await self._engine.load()
                self.state.milestone("loaded")
                log.info(
                    "model_loaded",
                    pipeline=self.description.pipeline,
                    device=self.description.device,
                    dtype=self.description.dtype,
                    revision=self.description.revision,
                    defaults=self.description.defaults.values(),
                    sources=self.description.defaults.sources,
                    seconds=self.description.load_seconds,
                )
                if self.settings.cfg_parallel:
                    check_guided(self.description, self.settings.warmup_sampling_params)
                if self.settings.warmup_mode is WarmupMode.SERVER:
                    await self._warm(self.description)
        except TimeoutError as error:
            raise StartupTimeout(
                f"not Ready after --startup-timeout {limit:g} s, while {self.state.current}"
            ) from error

    def prepare(self, ask: Ask) -> GenerationRequest:
        """Check and complete what a user asked for.

        Raises:
            InvalidRequest: naming the field that is wrong.
            ShapeRefused: the shape is not warm, and only warm ones are served.
            EngineLost: no model is loaded.
        """
        if self.description is None:
            raise EngineLost("no model is loaded")
        request = build_request(ask, self.description, self.settings)
        admit(request, self.report, self.settings.unwarmed_shapes)
        return request

    async def generate(self, request: GenerationRequest, watch: Watch | None = None) -> Generation:
        """Queue and draw one user's request. Cancelling the caller stops it at the next step.
        ``watch`` hears of it meanwhile.

        Raises:
            RequestError: what went wrong.
        """
        await self._warm_by_first(request)
        if self._changing:  # it was let in just before
            raise NotReady("the weights are being changed", 1.0, {"state": str(State.WARMING)})
        execute = functools.partial(self._execute, watch=watch)
        generation = await self._queue.submit(request, execute)
        cold = request.shape not in self.report.proven_shapes
        measure(self.metrics, generation, cold)
        return replace(generation, cold_shape=cold)

    def unprove(self) -> None:
        """W42: the weights are about to change, so nothing that was proven is."""
        self.state.enter(State.WARMING)
        self.state.degraded = None
        self._changing = True

    async def change_adapter(self, adapter: Adapter | None) -> None:
        """Put other weights in force, after ``unprove``, and warm up again: what has been let in
        finishes first, by the weights that it was asked of. Returns when warm.

        Raises:
            StartupError: it could not be changed, or did not become warm: the server cannot go on.
        """
        limit = self.settings.startup_timeout
        try:
            async with asyncio.timeout(limit):
                await self._queue.wait_idle()
                self.report = self._nothing_proven
                await self._engine.settle(False)
                await self._engine.change_adapter(adapter)
                self.adapter = adapter
                await self._warm_again()
        except RequestError as error:
            raise WarmupFailed(f"the weights could not be changed: {error}") from error
        except TimeoutError as error:
            raise StartupTimeout(
                f"not Ready after --startup-timeout {limit:g} s since the weights were changed"
            ) from error
        self._changing = False

    async def _warm_again(self) -> None:
        self.metrics.warmup_failed.set(0)
        self._first_done = self.settings.warmup_mode is not WarmupMode.REQUEST
        if self.settings.warmup_mode is WarmupMode.SERVER:
            assert self.description is not None
            await self._warm(self.description)

    async def follow(self, turn_ready: Callable[[], None]) -> None:
        """Nothing outside of this pod takes its readiness away."""

    def roles(self) -> dict[str, Any]:
        """It leads none."""
        return {}

    async def close(self) -> None:
        """End the engine and fail what still waits. Safe in any state."""
        self._queue.close(EngineLost("the server is stopping"))
        await self._engine.stop()
        if self._queue_runner:
            self._queue_runner.cancel()

    def _make_engine(self) -> Engine:
        settings = self.settings
        kind = RankedEngine if settings.ranks > 1 else EngineProcess
        engines: list[Engine] = [
            kind(engine_options(settings, number), settings.step_timeout, self._lost)
            for number in range(settings.engines)
        ]
        return engines[0] if len(engines) == 1 else EngineGroup(engines)

    async def _execute(self, request: GenerationRequest, watch: Watch | None = None) -> Generation:
        limit = self.settings.step_timeout
        # Until it is warm, a step may compile for as long as its request may take.
        if request.warmup or self.state.current is State.WARMING:
            limit = max(limit, self.settings.warmup_request_timeout)
        generation = await self._engine.generate(request, limit=limit, watch=watch)
        self.metrics.prompt_cache_bytes.set(generation.prompt_cache.bytes)
        if self.state.serving:
            count_compiles(self.metrics, generation)
        return generation

    async def _warm(self, description: ModelDescription) -> None:
        try:
            plan = build_plan(description, self.settings)
        except InvalidRequest as error:
            raise WarmupFailed(f"the model's own defaults cannot be drawn: {error}") from error
        if self.state.current is not State.WARMING:
            self.state.enter(State.WARMING)
        try:
            self.report = await run_everywhere(
                plan, self._course(description), self.report, self.settings.engines
            )
            self.state.milestone("warm")
            self.state.degraded = self.report.degraded
        except PlanFailed as error:
            self.report = error.report
            self._go_on_or_raise(error)
        try:
            await self._engine.settle(True)
        except EngineLost as error:
            raise self._engine.lost or error from error

    def _remember(self, report: WarmupReport) -> None:
        self.report = report

    def _course(self, description: ModelDescription) -> Course:
        return Course(
            submit=self._draw_and_encode,
            request_timeout=self.settings.warmup_request_timeout,
            progress=Several(self._recorder, visible_progress()),
            lighten=lambda request: lightened(request, description, self.settings),
            compiled=self.settings.compile is not CompileMode.OFF,
        )

    async def _draw_and_encode(self, request: GenerationRequest) -> Generation:
        """The whole way of a user's request: the first PNG of a process is slower, too."""
        generation = await self._queue.submit(request)
        await encode_as_users(self.pool, self.settings, request, generation)
        return generation

    def _go_on_or_raise(self, error: PlanFailed) -> None:
        """W25: nothing turns Ready cold unless it was told to."""
        choice = self.settings.warmup_on_failure
        if self._engine.lost is not None:
            raise self._engine.lost
        if choice is OnFailure.ABORT:
            raise error
        self.metrics.warmup_failed.set(1)
        if choice is OnFailure.DEGRADED:
            self.state.degraded = str(error)
        log.error("warmup_failed", reason=str(error), going_on=str(choice))

    async def _warm_by_first(self, request: GenerationRequest) -> None:
        """W06: the first user request is preceded by a short copy of itself; others wait for it."""
        if self._first_done:
            return
        async with self._first:
            if self._first_done:
                return
            started = time.monotonic()
            copy = first_request_copy(request, self.settings)
            try:
                generations = await asyncio.gather(
                    *(self._queue.submit(each) for each in self._everywhere(copy))
                )
            except RequestError as error:
                log.warning("first_request_warmup_failed", reason=str(error))
                return
            self._first_done = True
            await self._engine.settle(True)
            seconds = time.monotonic() - started
            shapes = tuple(
                ShapeReport(copy.shape, each.steps, (seconds,), (each.compiles,), engine=number)
                for number, each in enumerate(generations)
            )
            count = len(shapes)
            self.report = replace(
                self.report, engines=count, of=count, shapes=shapes, seconds=seconds
            )

    def _everywhere(self, request: GenerationRequest) -> list[GenerationRequest]:
        """W21: one for each engine."""
        return [
            replace(request, id=f"{request.id}-{number}", engine=number)
            for number in range(self.settings.engines)
        ]

    def _lost(self, reason: StartupError) -> None:
        self._queue.close(EngineLost(f"the engine was lost: {reason}"))
        self.state.fail(reason)
