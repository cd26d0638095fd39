"""The bounded queue before one engine. Higher ``priority`` first, then first come, first served.

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
    answer: asyncio.Future[Generation] = field(compare=False)
    arrived: float = field(compare=False, default_factory=time.monotonic)


class RequestQueue:
    """``run`` must be running as a task; it executes one request at a time."""

    def __init__(
        self, execute: Execute, size: int, depth_changed: DepthChanged = lambda _: None
    ) -> None:
        self._execute = execute
        self._size = size
        self._depth_changed = depth_changed
        self._waiting: list[_Entry] = []
        self._count = itertools.count()
        self._arrival = asyncio.Event()
        self._busy: _Entry | None = None
        self._current: asyncio.Task[Generation] | None = None
        self._closed: RequestError | None = None
        self.step_times = StepTimes()

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing runs."""
        return not self._waiting and self._busy is None

    async def submit(self, request: GenerationRequest) -> Generation:
        """Wait for a turn and run. Cancelling the caller takes the request out, or stops it.

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
        entry = _Entry((-request.priority, next(self._count)), request, loop.create_future())
        heapq.heappush(self._waiting, entry)
        self._changed()
        self._arrival.set()
        expiry = self._expire_at_deadline(loop, entry)
        try:
            return await entry.answer
        except asyncio.CancelledError:
            if self._busy is entry and self._current is not None:
                self._current.cancel()
            raise
        finally:
            if expiry is not None:
                expiry.cancel()
            self._remove(entry)

    def retry_after(self) -> float:
        """Whole seconds until one place is likely to be free, from the measured step times."""
        ahead = self._busy or (self._waiting[0] if self._waiting else None)
        return max(1.0, math.ceil(self.step_times.estimate(ahead.request))) if ahead else 1.0

    async def run(self) -> None:
        """Execute until cancelled."""
        while True:
            while not self._waiting:
                self._arrival.clear()
                await self._arrival.wait()
            entry = heapq.heappop(self._waiting)
            self._changed()
            if not entry.answer.done():
                self._busy = entry
                try:
                    await self._execute_one(entry)
                finally:
                    self._busy = self._current = None

    def close(self, reason: RequestError) -> None:
        """Fail everything that waits, and refuse what comes."""
        self._closed = reason
        for entry in self._waiting:
            if not entry.answer.done():
                entry.answer.set_exception(reason)
        self._waiting.clear()
        self._changed()

    async def _execute_one(self, entry: _Entry) -> None:
        waited = time.monotonic() - entry.arrived
        self._current = asyncio.ensure_future(self._execute(entry.request))
        # A callback: the caller gets its answer even when this loop is cancelled meanwhile.
        self._current.add_done_callback(functools.partial(self._answer, entry, waited))
        # Not awaited directly: a cancelled request must not cancel this loop.
        await asyncio.wait([self._current])

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
        if entry is not self._busy and not entry.answer.done():
            entry.answer.set_exception(DeadlineExceeded("the deadline passed in the queue"))

    def _remove(self, entry: _Entry) -> None:
        if entry in self._waiting:
            self._waiting.remove(entry)
            heapq.heapify(self._waiting)
            self._changed()

    def _changed(self) -> None:
        self._depth_changed(self.depth)
