"""The API process' handle on one engine process: start it, load, generate, cancel, watch, stop.

An engine that dies, breaks or hangs is *lost*: every request it held fails with a retryable error,
``on_lost`` is called once, and nothing brings it back (crash-only: Kubernetes restarts the pod).
"""

import asyncio
import contextlib
import itertools
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from ..contract.adapter import Adapter
from ..contract.generation import Generation, GenerationRequest
from ..contract.sampling import ModelDescription
from ..contract.stages import StageOutcome, StageWork
from ..contract.watching import Preview, Watch
from ..errors import (
    Cancelled,
    DeadlineExceeded,
    EngineDied,
    EngineLost,
    EngineStuck,
    GenerationFailed,
    InvalidRequest,
    ModelNotLoadable,
    OutOfMemory,
    RequestError,
    StartupError,
)
from ..telemetry.logs import get_logger
from . import messages, worker
from .pixels import PixelBuffer

log = get_logger(__name__)

STOP_SECONDS: Final = 10.0
WATCH_SECONDS: Final = 0.25
PING_SECONDS: Final = 5.0


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(*reason.split(": ", 1))


REFUSALS: Final[dict[messages.Refusal, Callable[[str], RequestError]]] = {
    messages.Refusal.FAILED: GenerationFailed,
    messages.Refusal.OUT_OF_MEMORY: OutOfMemory,
    messages.Refusal.CANCELLED: Cancelled,
    messages.Refusal.DEADLINE: DeadlineExceeded,
    messages.Refusal.INVALID: _invalid,
}
OnStep = Callable[[int, int], object]


class _Closed:
    """The last order: there will be no more."""


class EngineProcess:
    """All methods belong to the event loop's thread.

    ``step_timeout``: seconds without a sign of life while it draws, or while it idles, after which
    it counts as hung. ``on_lost`` gets the reason.
    """

    def __init__(
        self,
        options: messages.EngineOptions,
        step_timeout: float,
        on_lost: Callable[[StartupError], None],
    ) -> None:
        self._options = options
        self._step_timeout = step_timeout
        self._on_lost = on_lost
        self._process: Any = None
        self._pipe: Any = None
        self._loop: asyncio.AbstractEventLoop
        self._loaded: asyncio.Future[ModelDescription]
        self._running: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._orders: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._limit = step_timeout
        self._last_sign = self._last_ping = time.monotonic()
        self._listener = Watch()
        self._previews: PixelBuffer | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping = False
        self.lost: StartupError | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def spawn(self, meeting: messages.Meeting | None = None) -> None:
        """Start the process; it imports torch at once, and loads the model. ``meeting``: with the
        other rank of its engine."""
        self._loop = asyncio.get_running_loop()
        self._loaded = self._loop.create_future()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=worker.main, args=(theirs, self._options, meeting),
            name="kiln-engine", daemon=True,
        )  # fmt: skip
        self._process.start()
        theirs.close()
        if meeting is not None:
            meeting.pipe.close()  # the process has its own; the other rank must notice its end
        threading.Thread(target=self._read, name="engine-messages", daemon=True).start()
        threading.Thread(target=self._write, name="engine-orders", daemon=True).start()

    async def load(self) -> ModelDescription:
        """Wait until the model is loaded.

        Raises:
            ModelNotLoadable: the engine says why.
            EngineDied: it ended while loading.
        """
        description = await asyncio.shield(self._loaded)  # who gives up must not cancel it
        self._last_sign = time.monotonic()
        self._watching = asyncio.create_task(self._watch())
        return description

    async def generate(
        self,
        request: GenerationRequest,
        *,
        limit: float | None = None,
        watch: Watch | None = None,
    ) -> Generation:
        """Draw one request; the caller sees to it that there is one at a time.

        ``limit`` replaces the step timeout for this request. When the calling task is cancelled,
        the engine stops at the next step, and only then does this return.

        Raises:
            RequestError: by kind of refusal; ``EngineLost`` when the engine ended meanwhile.
        """
        if self.lost is not None:
            raise EngineLost(f"the engine is gone: {self.lost}")
        with PixelBuffer(request.pixel_shape) as buffer, self._previews_of(request) as previews:
            message = messages.Generate(next(self._numbers), request, buffer.name, previews)
            done = await self._run(message, limit, watch)
            return Generation(
                id=request.id,
                pixels=buffer.copied(),
                seeds=request.seeds,
                shape=request.shape,
                steps=request.sampling.num_inference_steps,
                timings=done.timings,
                peak_memory_bytes=done.peak_memory_bytes,
                compilations=done.compilations,
                prompt_cache=done.prompt_cache,
                notes=done.notes,
            )

    async def run_stage(
        self, work: StageWork, *, limit: float | None = None, on_step: OnStep | None = None
    ) -> StageOutcome:
        """As ``generate``, of an engine that plays a role.

        Raises:
            RequestError: by kind of refusal; ``EngineLost`` when the engine ended meanwhile.
        """
        if self.lost is not None:
            raise EngineLost(f"the engine is gone: {self.lost}")
        message = messages.RunStage(next(self._numbers), work)
        watch = Watch(on_step) if on_step else None
        ended: messages.StageEnded = await self._run(message, limit, watch)
        return ended.outcome

    async def change_adapter(self, adapter: Adapter | None) -> None:
        """Put other weights in force; nothing must run.

        Raises:
            RequestError: it failed, and the weights are in no known state.
        """
        if self.lost is not None:
            raise EngineLost(f"the engine is gone: {self.lost}")
        await self._run(messages.ChangeAdapter(next(self._numbers), adapter), None, None)

    @contextlib.contextmanager
    def _previews_of(self, request: GenerationRequest) -> Iterator[str]:
        """The name of the memory that takes them; none for a request without any."""
        if not request.previews:
            yield ""
            return
        with PixelBuffer((request.previews, *request.pixel_shape)) as self._previews:
            try:
                yield self._previews.name
            finally:
                self._previews = None

    async def _run(
        self,
        message: messages.Generate | messages.RunStage | messages.ChangeAdapter | messages.Settle,
        limit: float | None,
        watch: Watch | None,
    ) -> Any:
        number = message.number
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._running[number] = answer
        self._limit, self._listener = limit or self._step_timeout, watch or Watch()
        self._last_sign = time.monotonic()
        try:
            self._send(message)
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            self._send(messages.Cancel(number))
            await asyncio.wait([answer])
            answer.exception()  # retrieved: the caller no longer asks
            raise
        finally:
            del self._running[number]
            self._limit, self._listener = self._step_timeout, Watch()

    async def settle(self, settled: bool) -> int:
        """Let nothing compile in what is asked for from now on (W40), or let it compile again;
        nothing must run. Returns how many objects the garbage collector passes over from now on.

        Raises:
            EngineLost: the engine ended.
        """
        if self.lost is not None:
            raise EngineLost(f"the engine is gone: {self.lost}")
        message = messages.Settle(next(self._numbers), settled)
        answer: messages.Settled = await self._run(message, None, None)
        return answer.kept

    async def stop(self) -> None:
        """End the process: politely, then by force. Safe to call at any time, and twice."""
        self._stopping = True
        if self._watching:
            self._watching.cancel()
        if self._process is None:
            return
        try:
            self._send(messages.Stop())
            if self._running or self.lost or not self._loaded.done():
                self._process.kill()  # it is busy, and nobody waits for the result
            await asyncio.to_thread(self._process.join, STOP_SECONDS)
        finally:
            # It heeds no SIGTERM: alive at exit, it would keep multiprocessing waiting for ever.
            self._process.kill()
            await asyncio.to_thread(self._process.join, STOP_SECONDS)
        self._send(_Closed())
        self._pipe.close()

    def _send(self, message: object) -> None:
        self._orders.put(message)

    def _write(self) -> None:
        """Writer thread: a picture is larger than a pipe, and an engine that hangs reads nothing.
        The event loop must go on then, and notice.
        """
        # When it is gone, the reader thread finds out and tells why.
        with contextlib.suppress(OSError):
            while not isinstance(message := self._orders.get(), _Closed):
                self._pipe.send(message)

    def _read(self) -> None:
        """Reader thread: hand every message to the event loop, and notice the end."""
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                break
            if not self._call(self._receive, message):
                return
        self._process.join(STOP_SECONDS)
        self._call(self._ended, self._process.exitcode)

    def _call(self, function: Callable[..., None], argument: object) -> bool:
        try:
            self._loop.call_soon_threadsafe(function, argument)
        except RuntimeError:
            return False  # the loop is closed: the server has ended
        return True

    def _receive(self, message: object) -> None:
        self._last_sign = time.monotonic()
        match message:
            case messages.StepDone(_, step, of):
                self._listener.on_step(step, of)
            case messages.PreviewDrawn(_, index, step, of):
                if self._previews is not None:
                    pixels = self._previews.copied_at(index)
                    self._listener.on_preview(Preview(index, step, of, pixels))
            case (
                messages.Done(number)
                | messages.StageEnded(number)
                | messages.AdapterChanged(number)
                | messages.Settled(number)
            ):
                self._settle(number, message)
            case messages.Refused(number, kind, reason):
                self._settle(number, REFUSALS[kind](reason))
            case messages.Loading(stage):
                log.info("engine_loading", stage=stage)
            case messages.Loaded(description):
                if not self._loaded.done():
                    self._loaded.set_result(description)
            case messages.LoadFailed(reason):
                self.lose(ModelNotLoadable(self._named(reason)))
            case messages.Broken(reason):
                self.lose(EngineDied(self._named(reason)))

    def _settle(self, number: int, outcome: Any) -> None:
        answer = self._running.get(number)
        if answer is None or answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _ended(self, exitcode: int | None) -> None:
        if self._stopping:
            reason = "the server is stopping"
        elif exitcode is not None and exitcode < 0:
            hint = " (the kernel's out-of-memory killer?)" if exitcode == -9 else ""
            reason = self._named(f"the engine process was killed by signal {-exitcode}{hint}")
        else:
            ended = f"the engine process ended with status {exitcode}; its log says why"
            reason = self._named(ended)
        self.lose(EngineDied(reason))

    def _named(self, reason: str) -> str:
        """With the rank, where there are several."""
        options = self._options
        return f"rank {options.rank}: {reason}" if options.ranks > 1 else reason

    def lose(self, reason: StartupError) -> None:
        """The engine is gone, or soon will be: fail what it holds. Heard once."""
        if self.lost is not None:
            return
        self.lost = reason
        if not self._loaded.done():
            self._loaded.set_exception(reason)
            self._loaded.exception()  # retrieved, in case nobody awaits the load
        for number in list(self._running):
            self._settle(number, EngineLost(f"the engine was lost: {reason}"))
        if not self._stopping:
            self._on_lost(reason)

    async def _watch(self) -> None:
        """Lose an engine that gives no sign of life: no step while it draws, no pong otherwise."""
        before = time.monotonic()
        while self.lost is None:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            # While this process itself stood still (frozen, starved) it could not hear the engine.
            self._last_sign += max(0.0, now - before - 2 * WATCH_SECONDS)
            before = now
            silent = now - self._last_sign
            if silent > self._limit:
                doing = "while it was drawing" if self._running else "while it was idle"
                self._process.kill()
                told = f"the engine gave no sign of life for {silent:.0f} s {doing}"
                self.lose(EngineStuck(self._named(f"{told} (limit {self._limit:g} s)")))
            elif not self._running and now - self._last_ping > min(PING_SECONDS, self._limit / 2):
                self._last_ping = now
                self._send(messages.Ping())
