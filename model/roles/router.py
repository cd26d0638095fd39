"""The role router: no model and no torch in it. It leads requests through the other roles, and is
Ready while at least one proven replica of each is there (W44).
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from ..configuration.resolve import Resolved
from ..contract.adapter import Adapter
from ..contract.generation import Generation, GenerationRequest
from ..contract.roles import Role
from ..contract.sampling import ModelDescription
from ..contract.state import State
from ..contract.warmup import OnFailure, WarmupMode
from ..contract.watching import Watch
from ..errors import (
    EngineDied,
    EngineLost,
    NotReady,
    OtherRevision,
    ReplicaLost,
    RequestError,
    StartupError,
    StartupTimeout,
    Unsupported,
    WarmupFailed,
)
from ..media.encode import EncodePool
from ..pipelines.requests import Ask, build_request
from ..scheduling.queue import RequestQueue
from ..settings import Settings
from ..telemetry.logs import get_logger
from ..telemetry.metrics import Metrics
from ..telemetry.tracing import current_trace
from ..transport.configured import AT_ONCE
from ..transport.replica import Replica
from ..warmup.admission import admit
from ..warmup.report import WarmupReport
from .as_files import encode_as_users
from .chain import CHAIN, Hop, Passage, draw
from .measures import count_compiles, measure
from .proofs import Proofs
from .replicas import Replicas
from .server_state import ServerState
from .teams import Team, Teams, cause_of

log = get_logger(__name__)

# Not the replica's doing, as far as anybody can tell: it may pass the next time.
LOST: Final = (ReplicaLost, EngineLost, NotReady)


class Router:
    """Finds the replicas, warms them up, then leads requests. All methods belong to the event
    loop's thread.
    """

    def __init__(
        self, resolved: Resolved, state: ServerState, metrics: Metrics, pool: EncodePool
    ) -> None:
        self.settings: Settings = resolved.settings
        self.state = state
        self.metrics = metrics
        self.pool = pool
        self.description: ModelDescription | None = None
        self.adapter: Adapter | None = None
        self._replicas = Replicas(self.settings, metrics, self._prove, self._look_again)
        mode = self.settings.warmup_mode
        nothing = WarmupReport(mode, reason=resolved.sources["warmup_mode"], engines=0)
        self._proofs = Proofs(self.settings, metrics, nothing, self._draw_by)
        self._teams = Teams(self._proofs.run, self._stand_in)
        self._queue = RequestQueue(
            self._execute, self.settings.queue_size, metrics.queue_depth.set, AT_ONCE, self._able
        )
        # Reasons by instance: of replicas whose warmup failed, and of those let in all the same.
        self._failed: dict[str, str] = {}
        self._cold: dict[str, str] = {}
        self._news = asyncio.Event()
        self._known = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def report(self) -> WarmupReport:
        """Of the replicas that are proven now, and of those that run their warmup."""
        return self._proofs.report(self._replicas.proven(self.revision))

    @property
    def revision(self) -> str:
        return self.description.revision if self.description else ""

    def spawn(self) -> None:
        """Begin to look for the replicas."""
        for work in (*self._replicas.watches(), self._queue.run()):
            task = asyncio.create_task(work)
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def load(self) -> None:
        """Learn from the replicas what the model is, and warm the chain up: every replica that is
        there, and at least one of each role.

        Raises:
            StartupError: it did not come to that, with the reason.
        """
        limit = self.settings.startup_timeout
        try:
            async with asyncio.timeout(max(0.0, limit - self.state.seconds())):
                await self._until(self._agreed)
                self.state.milestone("loaded")
                if self.settings.warmup_mode is WarmupMode.SERVER:
                    self.state.enter(State.WARMING)
                await self._until(self._all_warm)
                self.state.milestone("warm")
                self.state.lacking = None
        except TimeoutError as error:
            raise StartupTimeout(
                f"not Ready after --startup-timeout {limit:g} s: "
                f"{self._replicas.why_not(self.revision)}"
            ) from error

    async def follow(self, turn_ready: Callable[[], None]) -> None:
        """NotReady when a role has no replica left; Ready again as soon as each has one."""
        while True:
            self._news.clear()
            if self.state.ready and not self._replicas.able(self.revision):
                await self._reprieve()
                self._unready()
            elif self.state.current is State.WARMING:
                self._adopt_another()
                if self._replicas.able(self.revision):
                    self.state.lacking = None
                    turn_ready()
            await self._news.wait()

    def prepare(self, ask: Ask) -> GenerationRequest:
        """Check and complete what a user asked for.

        Raises:
            InvalidRequest: naming the field that is wrong.
            ShapeRefused: the shape is not warm, and only warm ones are served.
            EngineLost: no replica has told what the model is.
        """
        if self.description is None:
            raise EngineLost("no model is known")
        request = build_request(ask, self.description, self.settings)
        admit(request, self.report, self.settings.unwarmed_shapes)
        return request

    async def generate(self, request: GenerationRequest, watch: Watch | None = None) -> Generation:
        """Queue one user's request and lead it through the chain. Cancelling the caller stops the
        denoiser at its next step. ``watch`` hears of the steps; there are no previews, since no
        denoiser has pixels.

        Raises:
            RequestError: what went wrong.
        """
        traced = replace(request, trace=dict(current_trace()))
        execute = partial(self._execute, watch=watch)
        generation = await self._queue.submit(traced, execute)
        cold = request.shape not in self.report.proven_shapes
        measure(self.metrics, generation, cold)
        count_compiles(self.metrics, generation)
        return replace(generation, cold_shape=cold)

    def roles(self) -> dict[str, Any]:
        """Every replica that is known."""
        return self._replicas.as_json(self.revision, self._proofs.run_of)

    def unprove(self) -> None:
        """Raises:
        Unsupported: roles have no adapters.
        """
        raise Unsupported("the roles behind a router have no adapters")

    async def change_adapter(self, adapter: Adapter | None) -> None:
        """Raises:
        Unsupported: as ``unprove``.
        """
        self.unprove()

    async def close(self) -> None:
        """Leave the replicas, and fail what still waits. Safe in any state."""
        self._queue.close(EngineLost("the server is stopping"))
        self._teams.close()
        for each in self._tasks:
            each.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # -- requests ------------------------------------------------------------------------------

    async def _execute(self, request: GenerationRequest, watch: Watch | None = None) -> Generation:
        passage = Passage(request, watch or Watch())
        return await draw(passage, self.revision, self._replicas.pool, self._hopped)

    def _able(self) -> int:
        """As many requests at once as the denoisers have places: while one is denoised, others are
        encoded before it and decoded behind it. One denoiser counts even where none is there, so
        that who waits for it hears of it in time."""
        denoisers = self._replicas.usable(Role.DENOISER, self.revision)
        return max(1, denoisers) * self.settings.replica_max_stages

    def _hopped(self, hop: Hop) -> None:
        self.metrics.role_seconds.labels(hop.role).observe(hop.seconds)
        self.metrics.hop_seconds.labels(hop.role).observe(max(0.0, hop.seconds - hop.computing))
        self.metrics.hop_bytes.labels(hop.role, "sent").inc(hop.sent)
        self.metrics.hop_bytes.labels(hop.role, "received").inc(hop.received)

    # -- warmup --------------------------------------------------------------------------------

    async def _prove(self, role: Role, replica: Replica) -> None:
        """Raises:
        RequestError: it gets no traffic, and is tried again.
        """
        await self._known.wait()
        if replica.revision != self.revision:
            raise OtherRevision(replica.revision, self.revision)
        if self.settings.warmup_mode is not WarmupMode.SERVER:
            return
        try:
            await self._teams.prove(role, replica)
            self._failed.pop(replica.instance, None)
        except RequestError as error:
            cause = cause_of(error)
            if isinstance(cause, LOST):
                replica.suspect(str(error))
                raise
            if self.settings.warmup_on_failure is not OnFailure.ABORT:
                self._let_in_cold(role, replica, str(error))
                return
            if cause is error:
                self._failed[replica.instance] = str(error)
            raise

    def _let_in_cold(self, role: Role, replica: Replica, reason: str) -> None:
        """W25: only because it was told to."""
        going_on = str(self.settings.warmup_on_failure)
        log.error("warmup_failed", role=str(role), reason=reason, going_on=going_on)
        self.metrics.warmup_failed.set(1)
        self._cold[replica.instance] = f"the {role} {replica.address} is cold: {reason}"

    def _stand_in(self, role: Role) -> Replica | None:
        return self._replicas.least_busy(role, self.revision)

    async def _draw_by(self, team: Team, request: GenerationRequest) -> Generation:
        """The whole way of a user's request, by these replicas and no others."""
        passage = team.passage = Passage(request)
        generation = await draw(passage, self.revision, team.members.__getitem__)
        passage.at = None
        await encode_as_users(self.pool, self.settings, request, generation)
        return generation

    # -- readiness -----------------------------------------------------------------------------

    def _look_again(self) -> None:
        """Some replica is otherwise than it was."""
        known = self._replicas.known()
        self._failed = {each: why for each, why in self._failed.items() if each in known}
        self._teams.match()
        self._queue.look_again()
        self.state.degraded = self._degraded()
        self._news.set()

    def _degraded(self) -> str | None:
        present = self._replicas.proven(self.revision)
        told = [reason for each, reason in self._cold.items() if each in present]
        if self.settings.warmup_on_failure is OnFailure.READY:
            told = []
        shrunk = self.report.degraded
        found = [*told, *self._replicas.failures(), *([shrunk] if shrunk else [])]
        return "; ".join(found[:8]) or None

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    def _agreed(self) -> bool:
        """Whether all three roles have the same model, and which."""
        found = self._replicas.common_model()
        self.state.lacking = None if found else self._replicas.why_no_model()
        if found is None:
            return False
        self._adopt(found)
        return True

    def _adopt(self, model: ModelDescription) -> None:
        self._proofs.plan_for(model)
        self.description = model
        log.info(
            "model_known",
            pipeline=model.pipeline,
            revision=model.revision,
            defaults=model.defaults.values(),
            sources=model.defaults.sources,
        )
        self._known.set()

    def _adopt_another(self) -> None:
        """The revision that was served has gone from a role, and another one is in all of them."""
        found = self._replicas.common_model(besides=self.revision)
        if found is None or self._replicas.able(self.revision):
            return
        try:
            self._adopt(found)
        except StartupError as error:
            self.state.fail(error)
            return
        self._replicas.reconsider()

    def _all_warm(self) -> bool:
        """W44: every replica that is there, and at least one of each role.

        Raises:
            WarmupFailed: all replicas of a role have failed (W25).
        """
        for role in CHAIN:
            reasons = self._replicas.hopeless(role, self._failed)
            if reasons:
                raise WarmupFailed(f"no {role} is warm: {reasons}")
        self.state.lacking = self._replicas.lacking(self.revision)
        return self._replicas.able(self.revision) and not self._replicas.to_prove()

    async def _reprieve(self) -> None:
        """A replica that was lost may only have lost a connection: it is being looked at."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.replica_check_interval):
                await self._until(lambda: self._replicas.able(self.revision))

    def _unready(self) -> None:
        if self.state.ready and not self._replicas.able(self.revision):
            self.state.lacking = self._replicas.lacking(self.revision)
            log.warning("chain_broken", reason=self._replicas.why_not(self.revision))
            self.state.enter(State.WARMING)
            self._news.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """None of them ends by itself."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("router_broken", exc_info=error)
            self.state.fail(EngineDied(f"the router failed: {type(error).__name__}: {error}"))
