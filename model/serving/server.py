"""The life of one server process: ports, load, Ready, drain, end.

Owns the main coroutine instead of ``kserve.ModelServer.start``, which serves only models that call
themselves ready, and closes the REST port on SIGTERM while gRPC goes on.
"""

import asyncio
import importlib
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any, Final

from ..configuration.resolve import Resolved
from ..contract.adapter import Adapter
from ..contract.roles import WORKERS
from ..contract.state import State
from ..contract.warmup import WarmupMode
from ..engine.garbage import set_aside
from ..errors import EngineDied, StartupError
from ..media.encode import EncodePool
from ..roles.choose import role_of
from ..roles.server_state import ServerState
from ..telemetry.logs import configure_logs, get_logger
from ..telemetry.metrics import Metrics
from .app import create_app
from .context import Serving
from .http_server import HttpServer, bind
from .openai.videos import jobs_of
from .report_file import report_document, write_report
from .termination import write_termination_message

log = get_logger(__name__)

# After a failure: time for the answers of failed requests to leave.
FAREWELL_SECONDS: Final = 2.0
# After a failure: for users of connections that they keep to hear of it, in place of an answer to
# their next request. Short, because the pod can only start again once it has ended.
LINGER_SECONDS: Final = 0.5


def serve(resolved: Resolved) -> int:
    """Run a server until it is told to end, or fails. Returns the exit status.

    Raises:
        PortInUse: before anything started.
    """
    configure_logs(resolved.settings.log_level, resolved.settings.log_format)
    if resolved.ignored:
        log.warning("flags_ignored", flags=resolved.ignored, reason="KServe's, no meaning here")
    try:
        listening = bind(resolved.settings)
        return asyncio.run(Server(resolved, listening).run())
    except StartupError as error:
        write_termination_message(resolved.settings.termination_message_path, str(error))
        raise


class Server:
    """One process' life, on its event loop."""

    def __init__(self, resolved: Resolved, listening: socket.socket) -> None:
        self.settings = resolved.settings
        self.listening = listening
        self.state = ServerState()
        metrics = Metrics()
        pool = EncodePool(self.settings.encode_threads)
        self.serving = Serving(
            settings=self.settings,
            state=self.state,
            role=role_of(resolved, self.state, metrics, pool),
            metrics=metrics,
            pool=pool,
        )
        if self.settings.role in WORKERS:
            stages = importlib.import_module(".stages", __package__)
            self.serving.stages = stages.stages_of(self.serving)
        self.jobs = jobs_of(self.serving)
        self.http = HttpServer(create_app(self.serving, self.jobs), self.settings)
        self.serving.change_adapter = self._change_adapter
        self._change: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self.grpc: Any = None
        self.told_to_stop = asyncio.Event()
        self.failed = asyncio.Event()
        self.hurry = asyncio.Event()
        self.reported = False
        metrics.set_state(self.state.current)
        self.state.listen(metrics.set_state)
        self.state.listen(self._on_state)

    async def run(self) -> int:
        """Start, wait for the end, end. Returns the exit status."""
        self._handle_signals()
        self.rest = asyncio.create_task(self.http.serve([self.listening]))
        start = asyncio.create_task(self._start())
        self._drawing = asyncio.create_task(self.jobs.run())
        # Without its jobs a server is not whole: it fails as a start does.
        self._drawing.add_done_callback(self._started)
        try:
            await self._first_of(start)
            if not self.failed.is_set():
                await self._drain()
        finally:
            await self._end(start)
        if self.state.failure is None:
            return 0
        write_termination_message(self.settings.termination_message_path, str(self.state.failure))
        print(f"kiln: {self.state.failure}", file=sys.stderr)
        return self.state.failure.exit_code

    async def _first_of(self, start: asyncio.Task[None]) -> None:
        """Wait until told to stop, or until something failed."""
        ends = [asyncio.create_task(each.wait()) for each in (self.told_to_stop, self.failed)]
        start.add_done_callback(self._started)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for each in ends:
            each.cancel()

    def _started(self, start: asyncio.Task[None]) -> None:
        if start.cancelled() or self.told_to_stop.is_set():
            return  # what a start raises that is broken off says nothing
        error = start.exception()
        if isinstance(error, StartupError):
            self.state.fail(error)
        elif error is not None:
            log.error("start_failed", exc_info=error)
            self.state.fail(EngineDied(f"the start failed: {type(error).__name__}: {error}"))

    async def _start(self) -> None:
        await self.http.up.wait()
        self.state.milestone("live")
        port = self.listening.getsockname()[1]
        log.info("live", http_port=port, model=self.serving.name, seconds=self.state.seconds())
        self.state.enter(State.LOADING)
        # The engine imports torch in its own process while this one imports kserve.
        self.serving.role.spawn()
        model = await self._import_kserve()
        await asyncio.to_thread(model.load)
        self._turn_ready()
        self._following = asyncio.create_task(self.serving.role.follow(self._turn_ready))
        self._following.add_done_callback(self._started)

    async def _import_kserve(self) -> Any:
        """KServe takes 2 s to import: in a thread, so that liveness is answered meanwhile."""
        side = await asyncio.to_thread(importlib.import_module, ".kserve_side", __package__)
        registry = side.ModelRepository()
        self.serving.data_plane = side.GatedDataPlane(registry, self.serving)
        model = side.DiffusionModel(self.serving, asyncio.get_running_loop())
        registry.update(model)
        if self.settings.enable_grpc:
            self.grpc = side.GrpcServer(self.serving)
            port = await self.grpc.open()
            log.info("grpc_open", grpc_port=port, seconds=self.state.seconds())
        return model

    def _turn_ready(self) -> None:
        """The one place where a server becomes Ready."""
        if self.state.current not in (State.LOADING, State.WARMING):
            return  # told to stop, or failed, in the meantime
        set_aside()
        if self.settings.warmup_mode is not WarmupMode.SERVER:
            log.warning("not_warmed", mode=str(self.settings.warmup_mode),
                        source=self.serving.role.report.reason)  # fmt: skip
        again = "ready" in self.state.timeline
        self.state.enter(State.READY)
        if again:
            log.info("ready_again", seconds=self.state.seconds())
            return
        # W27: once, after Ready is true; the words are those that users of SGLang wait for.
        log.info("The server is fired up and ready to roll!", timeline=self.state.timeline)

    def _change_adapter(self, adapter: Adapter | None) -> None:
        """W42: from Ready back to Warming, at once; the rest takes its time."""
        self.serving.role.unprove()
        self._change = asyncio.create_task(self._warm_up_with(adapter))
        # It fails as a start does: nothing turns Ready cold.
        self._change.add_done_callback(self._started)

    async def _warm_up_with(self, adapter: Adapter | None) -> None:
        await self.serving.role.change_adapter(adapter)
        self._turn_ready()

    def _on_state(self, state: State) -> None:
        for name, seconds in self.state.timeline.items():
            self.serving.metrics.startup.labels(name).set(seconds)
        if self.grpc is not None:
            self._background = asyncio.ensure_future(self.grpc.follow(state))
        if state in (State.READY, State.FAILED):
            self._report()
        if state is State.FAILED:
            self.http.refuse_connections(self.listening)
            log.error("failed", reason=str(self.state.failure))
            self.failed.set()

    def _report(self) -> None:
        """Warmup has ended, one way or the other. What happens later is no part of its report."""
        path = self.settings.warmup_report_path
        if path is not None and not self.reported:
            self.reported = True
            write_report(path, report_document(self.serving))

    async def _drain(self) -> None:
        """NotReady at once; serve on for the drain delay; then let what runs finish."""
        was_ready = self.state.ready
        self.state.enter(State.DRAINING)
        if not was_ready:
            return  # nobody was served
        await self._race(asyncio.sleep(self.settings.drain_delay))
        await self._race(self._close_ports(self.settings.drain_timeout))

    async def _close_ports(self, grace: float) -> None:
        """REST and gRPC together: no new requests, and ``grace`` seconds for running ones."""
        self.http.should_exit = True
        closing: set[asyncio.Future[Any]] = {self.rest, asyncio.ensure_future(self.jobs.drain())}
        if self.grpc is not None:
            closing.add(asyncio.ensure_future(self.grpc.stop(grace)))
        _, late = await asyncio.wait(closing, timeout=grace)
        if late:
            log.error("requests_cut_off", after_seconds=grace)

    async def _race(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, but no longer than nobody is in a hurry and nothing has failed."""
        racers: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(each) for each in (work, self.hurry.wait(), self.failed.wait())
        }
        await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
        for each in racers:
            each.cancel()

    async def _end(self, start: asyncio.Task[None]) -> None:
        """Leave nothing behind, whatever happened."""
        # First: a start that is broken off by our own end has not failed.
        start.cancel()
        for each in (self._change, self._following):
            if each is not None:
                each.cancel()
        self._drawing.cancel()
        await self.jobs.close()
        await self.serving.role.close()
        if self.state.failure is not None:
            await self.http.deserted(LINGER_SECONDS)
        await self._close_ports(FAREWELL_SECONDS)
        if not self.rest.done():
            self.http.force_exit = True
            await asyncio.wait({self.rest}, timeout=FAREWELL_SECONDS)
        self.serving.pool.close()
        if self.state.current is State.DRAINING:
            self.state.enter(State.STOPPED)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop, False)
        loop.add_signal_handler(signal.SIGINT, self._stop, True)

    def _stop(self, hurry: bool) -> None:
        """SIGTERM drains; Ctrl-C, or a second signal, does not wait."""
        if hurry or self.told_to_stop.is_set():
            self.hurry.set()
        log.info("told_to_stop", hurry=self.hurry.is_set())
        self.told_to_stop.set()
