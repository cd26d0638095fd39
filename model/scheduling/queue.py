"""The bounded queue before the engines. Higher ``priority`` first, then first come, first served.

Nothing waits for ever: one request too many is refused with the time after which to try again, and
a request whose deadline passes is answered then, before it costs device time.
"""

import asyncio
import functools
import heapq
import itertools
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from ..contract.generation import Generation, GenerationRequest
from ..errors import DeadlineExceeded, QueueFull, RequestError
from .step_times import StepTimes

Execute = Callable[[GenerationRequest], Awaitable[Generation]]
DepthChanged = Callable[[int], object]


@dataclass(order=True, slots=True)
class _Entry:
    rank: tuple[int, int]
    request: GenerationRequest = field(compare=False)
    execute: Execute = field(compare=False)
    answer: asyncio.Future[Generation] = field(compare=False)
    arrived: float = field(compare=False, default_factory=time.monotonic)
    running: asyncio.Task[Generation] | None = field(compare=False, default=None)


class RequestQueue:
    """``run`` must be running as a task; it executes one request at a time on each engine. What is
    executed names its engine. ``able``: of the engines, how many may be busy now; who changes that
    calls ``look_again``.
    """

    def __init__(
        self,
        execute: Execute,
        size: int,
        depth_changed: DepthChanged = lambda _: None,
        engines: int = 1,
        able: Callable[[], int] | None = None,
    ) -> None:
        self._execute = execute
        self._size = size
        self._depth_changed = depth_changed
        self._waiting: list[_Entry] = []
        self._count = itertools.count()
        self._arrival = asyncio.Event()
        self._ended = asyncio.Event()
        self._engines = engines
        self._able = able or (lambda: engines)
        self._busy: dict[int, _Entry] = {}
        self._closed: RequestError | None = None
        self.step_times = StepTimes()

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing runs."""
        return not self._waiting and not self._busy

    async def submit(
        self, request: GenerationRequest, execute: Execute | None = None
    ) -> Generation:
        """Wait for a turn and run. Cancelling the caller takes the request out, or stops it.
        ``execute``: in place of what executes others.

        Raises:
            QueueFull: with the seconds after which there is likely to be room.
            DeadlineExceeded: its turn did not come in time.
            RequestError: what the execution raised.
        """
        if self._closed is not None:
            raise self._closed
        if self.depth >= self._size:
            raise QueueFull(self.depth, self.retry_after())
        loop = asyncio.get_running_loop()
        rank = (-request.priority, next(self._count))
        entry = _Entry(rank, request, execute or self._execute, loop.create_future())
        heapq.heappush(self._waiting, entry)
        self._changed()
        self._arrival.set()
        expiry = self._expire_at_deadline(loop, entry)
        try:
            return await entry.answer
        except asyncio.CancelledError:
            if entry.running is not None:
                entry.running.cancel()
            raise
        finally:
            if expiry is not None:
                expiry.cancel()
            self._remove(entry)

    def retry_after(self) -> float:
        """Whole seconds until one place is likely to be free, from the measured step times."""
        ahead = list(self._busy.values()) or self._waiting[:1]
        seconds = [self.step_times.estimate(each.request) for each in ahead]
        return max(1.0, math.ceil(min(seconds))) if seconds else 1.0

    def look_again(self) -> None:
        """There may be more engines now."""
        self._arrival.set()

    async def wait_idle(self) -> None:
        """Return when nothing waits and nothing runs."""
        while not self.idle:
            self._ended.clear()
            await self._ended.wait()

    async def run(self) -> None:
        """Execute until cancelled."""
        async with asyncio.TaskGroup() as engines:
            for number in range(self._engines):
                engines.create_task(self._keep_busy(number))

    async def _keep_busy(self, engine: int) -> None:
        while True:
            while (entry := self._next_for(engine)) is None:
                self._arrival.clear()
                await self._arrival.wait()
            self._remove(entry)
            if not entry.answer.done():
                self._busy[engine] = entry
                try:
                    await self._execute_one(entry, engine)
                finally:
                    del self._busy[engine]
            self._ended.set()

    def _next_for(self, engine: int) -> _Entry | None:
        """Some requests are for one engine only: each has to prove itself."""
        if engine >= self._able():
            return None
        return min(
            (each for each in self._waiting if each.request.engine in (None, engine)), default=None
        )

    def close(self, reason: RequestError) -> None:
        """Fail everything that waits, and refuse what comes."""
        self._closed = reason
        for entry in self._waiting:
            if not entry.answer.done():
                entry.answer.set_exception(reason)
        self._waiting.clear()
        self._ended.set()
        self._changed()

    async def _execute_one(self, entry: _Entry, engine: int) -> None:
        waited = time.monotonic() - entry.arrived
        request = replace(entry.request, engine=engine)
        entry.running = asyncio.ensure_future(entry.execute(request))
        # A callback: the caller gets its answer even when this loop is cancelled meanwhile.
        entry.running.add_done_callback(functools.partial(self._answer, entry, waited))
        # Not awaited directly: a cancelled request must not cancel this loop.
        await asyncio.wait([entry.running])

    def _answer(self, entry: _Entry, waited: float, done: asyncio.Task[Generation]) -> None:
        if done.cancelled():
            entry.answer.cancel()
            return
        error = done.exception()
        if error is None:
            generation = done.result()
            self.step_times.record(generation)
            timings = replace(generation.timings, queue=waited)
            if not entry.answer.done():
                entry.answer.set_result(replace(generation, timings=timings))
        elif not entry.answer.done():
            entry.answer.set_exception(error)

    def _expire_at_deadline(
        self, loop: asyncio.AbstractEventLoop, entry: _Entry
    ) -> asyncio.TimerHandle | None:
        if entry.request.deadline is None:
            return None
        left = max(0.0, entry.request.deadline - time.monotonic())
        return loop.call_later(left, self._expire, entry)

    def _expire(self, entry: _Entry) -> None:
        # A request that runs is stopped by the engine, at its next step.
        if entry.running is None and not entry.answer.done():
            entry.answer.set_exception(DeadlineExceeded("the deadline passed in the queue"))

    def _remove(self, entry: _Entry) -> None:
        if entry in self._waiting:
            self._waiting.remove(entry)
            heapq.heapify(self._waiting)
            self._changed()

    def _changed(self) -> None:
        self._depth_changed(self.depth)
