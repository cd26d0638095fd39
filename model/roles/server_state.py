"""The one state machine. Every readiness signal, on every protocol, is a reading of it.

It lives on the event loop's thread. ``Failed`` keeps its reason; milestones keep their time.
"""

import asyncio
from collections.abc import Callable

from ..contract.state import NEXT_STATES, State
from ..errors import StartupError
from ..telemetry.logs import get_logger
from ..telemetry.process_age import process_age

log = get_logger(__name__)

Listener = Callable[[State], None]


class ServerState:
    """Starting -> Loading -> Warming -> Ready -> Draining -> Stopped, and Failed from anywhere.
    Ready goes back to Warming when the weights change (W42), and when a router has no replica of a
    role (W44); ``lacking`` then says what it waits for.
    """

    def __init__(self) -> None:
        self.current = State.STARTING
        self.failure: StartupError | None = None
        self.degraded: str | None = None
        self.lacking: str | None = None
        self.was_ready = False
        self.timeline: dict[str, float] = {}
        self._listeners: list[Listener] = []
        self._settled = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self.current is State.READY

    @property
    def live(self) -> bool:
        """W34: true however long loading takes; false once the engine is lost."""
        return self.current not in (State.FAILED, State.STOPPED)

    @property
    def serving(self) -> bool:
        """Whether requests run: when Ready, and while a server that was Ready drains."""
        return self.ready or (self.current is State.DRAINING and self.was_ready)

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` after each change, in the order of registration."""
        self._listeners.append(listener)

    def enter(self, state: State) -> None:
        """Go on to ``state``.

        Raises:
            ValueError: there is no such way; a defect of the caller.
        """
        if state not in NEXT_STATES[self.current]:
            raise ValueError(f"no way from {self.current} to {state}")
        before, self.current = self.current, state
        if state is State.READY:
            self.was_ready = True
            self.milestone("ready")
        elif state is State.WARMING:  # again, it may be: nobody is served meanwhile
            self.was_ready = False
            self._settled.clear()
        log.info("state", before=str(before), now=str(state), seconds=self.seconds())
        if state not in (State.STARTING, State.LOADING, State.WARMING):
            self._settled.set()
        for listener in self._listeners:
            listener(state)

    def fail(self, reason: StartupError) -> None:
        """Enter Failed with a reason; the first one stays."""
        if State.FAILED not in NEXT_STATES[self.current]:
            return
        self.failure = reason
        self.enter(State.FAILED)

    def milestone(self, name: str) -> None:
        """Note when something was reached, once."""
        self.timeline.setdefault(name, self.seconds())

    def seconds(self) -> float:
        """Since the process started."""
        return round(process_age(), 3)

    async def wait_settled(self, seconds: float) -> None:
        """Return when the start is over, either way, or after ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._settled.wait()
        except TimeoutError:
            return
