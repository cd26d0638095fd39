"""Asks the pods' servers how far their warmup is, beside the reconciles, which read the last answer
and never wait for one.

Nothing but what is said depends on it. A pod that cannot be reached is unknown, and never not
Ready: readiness is Kubernetes' to tell.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from urllib.parse import quote

import aiohttp

from model.contract.flags import HTTP_PORT

from .observed import ServiceKey
from .telling import Told, read_told

# Seconds that an answer may take.
PATIENCE: Final = 2.0
UNREACHABLE: Final = (aiohttp.ClientError, OSError, TimeoutError)
LARGEST: Final = 1024 * 1024
OK: Final = 200
AT_ONCE: Final = 16
# Of one service; those that start come first.
MOST_PODS: Final = 16
# Seconds between two questions, to whomever.
SPACING: Final = 0.02
# Seconds between two to one server that starts, and to one that is Ready.
WHILE_STARTING: Final = 5.0
WHILE_READY: Final = 300.0
# Seconds after the first failure; doubled with each one, up to the time between two questions of a
# Ready server.
FIRST_RETRY: Final = 1.0
LONGEST_RETRY: Final = 300.0
# Failures in a row after which it is unknown: the port of a new server opens a moment late.
SILENT_AFTER: Final = 3


@dataclass(frozen=True, slots=True)
class Server:
    """One run of a pod's server. ``ready``: Kubernetes says so. ``behind``: of a router, how many
    pods of each role are Ready, which it warms up one after the other.
    """

    pod: str
    run: str
    address: str
    ready: bool
    behind: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Line:
    """What is known of a server, and when it is asked again."""

    server: Server
    url: str
    due: float
    told: Told | None = None
    failures: int = 0
    asking: bool = False

    @property
    def silent(self) -> bool:
        return self.failures >= SILENT_AFTER


@dataclass(slots=True)
class Inquiry:
    """``changed`` hears of services whose pods have something new to tell."""

    changed: Callable[[ServiceKey], None]
    port: int = HTTP_PORT
    clock: Callable[[], float] = monotonic
    patience: float = PATIENCE
    _lines: dict[ServiceKey, dict[str, Line]] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(
        self, key: ServiceKey, model: str, servers: Iterable[Server]
    ) -> dict[str, Told | None]:
        """Ask these from now on, and no others of the service; what is known of them, by pod."""
        several = sorted(servers, key=lambda each: (each.ready, each.pod))[:MOST_PODS]
        before = self._lines.get(key, {})
        self._lines[key] = {
            each.pod: self._line(each, model, before.get(each.pod)) for each in several
        }
        if not several:
            del self._lines[key]
        lines = self._lines.get(key, {}).values()
        return {
            each.server.pod: None if each.silent else each.told
            for each in lines
            if each.silent or each.told is not None
        }

    def forget(self, key: ServiceKey) -> None:
        """It is gone."""
        self._lines.pop(key, None)

    async def run(self) -> None:
        """Until it is cancelled."""
        at_once = asyncio.Semaphore(AT_ONCE)
        # A proxy of the environment must never stand between us and a pod.
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            asyncio.TaskGroup() as group,
        ):
            while True:
                self._wake.clear()
                for key, line in list(self._due()):
                    line.asking = True
                    group.create_task(self._ask(session, at_once, key, line))
                    await asyncio.sleep(SPACING)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._wake.wait()

    def _line(self, server: Server, model: str, before: Line | None) -> Line:
        host = f"[{server.address}]" if ":" in server.address else server.address
        url = f"http://{host}:{self.port}/v2/models/{quote(model, safe='')}"
        if before is None or (before.server.run, before.url) != (server.run, url):
            self._wake.set()
            return Line(server, url, due=self.clock())
        if (before.server.ready, before.server.behind) != (server.ready, server.behind):
            # What it said before it became Ready stays, until it has said more.
            before.due, before.failures = self.clock(), 0
            self._wake.set()
        before.server = server
        return before

    def _due(self) -> Iterator[tuple[ServiceKey, Line]]:
        now = self.clock()
        for key, lines in self._lines.items():
            idle = (each for each in lines.values() if not each.asking)
            yield from ((key, each) for each in idle if each.due <= now)

    def _pause(self) -> float | None:
        """Seconds until the next question; None while there is none."""
        all_lines = (each for lines in self._lines.values() for each in lines.values())
        due = min((each.due for each in all_lines if not each.asking), default=None)
        return None if due is None else max(0.0, due - self.clock())

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        at_once: asyncio.Semaphore,
        key: ServiceKey,
        line: Line,
    ) -> None:
        try:
            async with at_once:
                found = await _answer(session, line.url, self.patience)
        finally:
            line.asking = False
        before = (line.told, line.silent)
        if found is None:
            line.failures += 1
            line.due = self.clock() + min(LONGEST_RETRY, FIRST_RETRY * 2 ** (line.failures - 1))
        else:
            line.told, line.failures = found, 0
            settled = (
                line.server.ready and found.state == "ready" and found.knows(line.server.behind)
            )
            line.due = self.clock() + (WHILE_READY if settled else WHILE_STARTING)
        self._wake.set()
        if (line.told, line.silent) != before and line in self._lines.get(key, {}).values():
            self.changed(key)


async def _answer(session: aiohttp.ClientSession, url: str, patience: float) -> Told | None:
    text, timeout = bytearray(), aiohttp.ClientTimeout(total=patience)
    try:
        async with session.get(url, timeout=timeout, allow_redirects=False) as answer:
            if answer.status != OK:
                return None
            async for chunk in answer.content.iter_any():
                text += chunk
                if len(text) > LARGEST:
                    return None
    except UNREACHABLE:
        return None
    return read_told(bytes(text))
