"""The queue that makes the operator level-triggered: it holds keys, not events.

A key waits at most once, however often it is added. It is never worked on twice at the same time:
what is added meanwhile comes again afterwards. A key that failed comes back later and later.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Key = TypeVar("Key")

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 120.0


def backoff(failures: int) -> float:
    """Seconds until the next attempt, after so many failures in a row: 0.5, 1, 2, ... 120."""
    return float(min(LONGEST_DELAY, FIRST_DELAY * 2 ** (failures - 1)))


@dataclass(slots=True)
class WorkQueue(Generic[Key]):
    """Belongs to one event loop. ``waited`` hears how long each key waited, in seconds."""

    waited: Callable[[float], None] = lambda seconds: None
    _ready: deque[Key] = field(default_factory=deque)
    _since: dict[Key, float] = field(default_factory=dict)
    _working: set[Key] = field(default_factory=set)
    _again: set[Key] = field(default_factory=set)
    _failures: dict[Key, int] = field(default_factory=dict)
    _timers: dict[Key, asyncio.TimerHandle] = field(default_factory=dict)
    _arrival: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Work on ``key`` soon. A delay that it waited for is over."""
        self._stop_timer(key)
        if key in self._working:
            self._again.add(key)
        elif key not in self._since:
            self._since[key] = asyncio.get_running_loop().time()
            self._ready.append(key)
            self._arrival.set()

    def add_later(self, key: Key, seconds: float) -> None:
        """Work on ``key`` in ``seconds``, unless it comes earlier for another reason."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        self._stop_timer(key)
        self._timers[key] = loop.call_later(seconds, self.add, key)

    async def take(self) -> Key:
        """The next key. It is the caller's until ``done``."""
        while not self._ready:
            self._arrival.clear()
            await self._arrival.wait()
        key = self._ready.popleft()
        self.waited(asyncio.get_running_loop().time() - self._since.pop(key))
        self._working.add(key)
        return key

    def done(self, key: Key, *, failed: bool, again: float | None = None) -> None:
        """Give ``key`` back. After a failure it comes again, later than the last time. ``again``:
        seconds after which it comes; after a failure, before which it does not.
        """
        self._working.discard(key)
        if failed:
            self._failures[key] = self._failures.get(key, 0) + 1
            self.add_later(key, max(backoff(self._failures[key]), again or 0.0))
        else:
            self._failures.pop(key, None)
            if again is not None:
                self.add_later(key, again)
        if key in self._again:
            self._again.discard(key)
            if not failed:  # else its delay stands: the same failure would come at once
                self.add(key)

    def _stop_timer(self, key: Key) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
