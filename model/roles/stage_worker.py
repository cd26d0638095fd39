"""The roles encoder, denoiser and decoder: one engine that runs its stage of others' requests.

It is Ready when it is loaded. Its warmup is the router's, through the whole chain (W05, W44).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn
from uuid import uuid4

from ..configuration.resolve import Resolved
from ..contract.adapter import Adapter
from ..contract.compilation import CompileMode
from ..contract.generation import Generation, GenerationRequest
from ..contract.sampling import ModelDescription
from ..contract.stages import StageOutcome, StageWork, write_cost
from ..contract.watching import Watch
from ..engine.caches import prepare_cache
from ..engine.process import EngineProcess, OnStep
from ..errors import (
    DeadlineExceeded,
    QueueFull,
    StartupTimeout,
    Unsupported,
)
from ..pipelines.requests import Ask
from ..settings import Settings
from ..telemetry.logs import get_logger
from ..telemetry.metrics import Metrics
from ..transport.protocol import Identity, StageRequest, StageResult
from ..warmup.report import WarmupReport
from .engine_options import COMPILING, engine_options
from .server_state import ServerState

log = get_logger(__name__)

RETRY_SECONDS: Final = 1.0


class StageWorker:
    """Loads once, then runs stages, one at a time. All methods are for the event loop's thread."""

    def __init__(self, resolved: Resolved, state: ServerState, metrics: Metrics) -> None:
        self.settings: Settings = resolved.settings
        self.state = state
        self.metrics = metrics
        self.description: ModelDescription | None = None
        self.adapter: Adapter | None = None
        self._instance = uuid4().hex
        self.report = WarmupReport(
            self.settings.warmup_mode, reason=resolved.sources["warmup_mode"]
        )
        wanted = self.settings.compile is not CompileMode.OFF
        self._compiles = wanted and self.settings.role in COMPILING
        if wanted and not self._compiles:
            log.warning("not_compiled", role=str(self.settings.role), reason="the denoiser is")
        prepare_cache(self.settings.cache_dir)
        options = engine_options(self.settings, 0)
        self._engine = EngineProcess(options, self.settings.step_timeout, self.state.fail)
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def identity(self) -> Identity:
        """Who answers here. What is loaded is known once it is."""
        about = self.description
        revision = about.revision if about else ""
        role, name = self.settings.role, self.settings.served_name
        return Identity(role, name, revision, self._instance, about)

    def spawn(self) -> None:
        """Start the engine's process ahead of ``load``."""
        self._engine.spawn()

    async def load(self) -> None:
        """Load the role's part of the pipeline.

        Raises:
            StartupError: it did not come up, with the reason.
        """
        limit = self.settings.startup_timeout
        try:
            async with asyncio.timeout(max(0.0, limit - self.state.seconds())):
                self.description = await self._engine.load()
                if not self._compiles:  # there is nothing that a warmup could change
                    await self._engine.settle(True)
        except TimeoutError as error:
            raise StartupTimeout(
                f"not Ready after --startup-timeout {limit:g} s, while {self.state.current}"
            ) from error
        self.state.milestone("loaded")
        log.info(
            "model_loaded",
            role=str(self.settings.role),
            pipeline=self.description.pipeline,
            device=self.description.device,
            dtype=self.description.dtype,
            revision=self.description.revision,
            seconds=self.description.load_seconds,
        )

    async def run(self, request: StageRequest, on_step: OnStep) -> StageResult:
        """Queue and run one stage that came from another role. Cancelling the caller takes it out,
        or stops it at the next step.

        Raises:
            RequestError: what went wrong.
        """
        header = request.payload.header
        work = StageWork(
            header.request_id, header.facts, request.payload.data, request.deadline, header.warmup
        )
        outcome = await self._in_turn(work, on_step)
        if not work.warmup:  # W28
            self._measure(outcome)
        return StageResult(outcome.tensors, {**outcome.facts, **write_cost(outcome)})

    async def _in_turn(self, work: StageWork, on_step: OnStep) -> StageOutcome:
        """
        Raises:
            QueueFull: too many wait already.
            DeadlineExceeded: its turn did not come in time.
        """
        if self._waiting >= self.settings.queue_size:
            raise QueueFull(self._waiting, RETRY_SECONDS)
        self._count(1)
        try:
            left = None if work.deadline is None else work.deadline - time.monotonic()
            async with asyncio.timeout(left):
                await self._turn.acquire()
        except TimeoutError as error:
            raise DeadlineExceeded("the deadline passed in the queue") from error
        finally:
            self._count(-1)
        try:
            return await self._run(work, on_step)
        finally:
            self._turn.release()

    async def _run(self, work: StageWork, on_step: OnStep) -> StageOutcome:
        """What has to be compiled is compiled in a warmup, which may take longer for it. Users'
        stages find compiled code, or run uncompiled (W40).
        """
        limit = self.settings.step_timeout
        if not work.warmup:
            return await self._engine.run_stage(work, limit=limit, on_step=on_step)
        limit = max(limit, self.settings.warmup_request_timeout)
        await self._settle(False)
        try:
            return await self._engine.run_stage(work, limit=limit, on_step=on_step)
        finally:
            await self._settle(True)

    async def _settle(self, settled: bool) -> None:
        if self._compiles:
            await self._engine.settle(settled)

    def _count(self, change: int) -> None:
        self._waiting += change
        self.metrics.queue_depth.set(self._waiting)

    def _measure(self, outcome: StageOutcome) -> None:
        timings = outcome.timings
        stages = {
            "prepare": timings.prepare, "denoise": sum(timings.steps), "decode": timings.decode
        }  # fmt: skip
        for stage, seconds in stages.items():
            if seconds:
                self.metrics.stage_seconds.labels(stage).observe(seconds)
        for seconds in timings.steps:
            self.metrics.step_seconds.observe(seconds)
        self.metrics.prompt_cache_hits.inc(outcome.prompt_cache.hits)
        self.metrics.prompt_cache_misses.inc(outcome.prompt_cache.misses)
        self.metrics.prompt_cache_bytes.set(outcome.prompt_cache.bytes)
        self.metrics.device_memory.set(outcome.peak_memory_bytes)

    def prepare(self, ask: Ask) -> GenerationRequest:
        """Raises:
        Unsupported: always. Whole requests are for the router.
        """
        self._refuse()

    async def generate(self, request: GenerationRequest, watch: Watch | None = None) -> Generation:
        """Raises:
        Unsupported: as ``prepare``.
        """
        self._refuse()

    def unprove(self) -> None:
        """Raises:
        Unsupported: a role has no adapters.
        """
        self._refuse()

    async def change_adapter(self, adapter: Adapter | None) -> None:
        """Raises:
        Unsupported: a role has no adapters.
        """
        self._refuse()

    async def follow(self, turn_ready: Callable[[], None]) -> None:
        """Nothing outside of this pod takes its readiness away."""

    def roles(self) -> dict[str, Any]:
        """It leads none."""
        return {}

    async def close(self) -> None:
        """End the engine. Safe in any state."""
        await self._engine.stop()

    def _refuse(self) -> NoReturn:
        raise Unsupported(
            f"this server is the {self.settings.role} of a chain; send requests to its router"
        )
