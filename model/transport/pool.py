"""All replicas of one role: found, proven, and given work, the least busy one first.

W44: a replica gets its warmup before traffic, whenever it appears, and again when another process
answers at its address. What a replica loses is done once more by another: a stage is a function of
its payload, and the caller still has that.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from ..contract.roles import Role
from ..errors import (
    BadTransfer,
    DeadlineExceeded,
    EngineLost,
    NoReplica,
    NotReady,
    QueueFull,
    ReplicaLost,
    ReplicaReplaced,
    RequestError,
    RevisionMismatch,
    WireVersionMismatch,
)
from ..telemetry.logs import get_logger
from .addresses import Address, Addresses, Unresolved
from .calling import Security
from .payload import Bounds, Payload
from .protocol import NO_TRACE, OnStep
from .replica import TO_COME, Replica, ReplicaReport, ReplicaState

log = get_logger(__name__)

Prove = Callable[[Replica], Awaitable[None]]

RETRY_SECONDS: Final = 2.0
# A replica whose warmup failed is tried again, later each time.
PROVE_AGAIN_SECONDS: Final = 2.0
PROVE_AGAIN_MOST_SECONDS: Final = 60.0
# It did not even begin: another one may.
NOT_BEGUN: Final = (NotReady, ReplicaReplaced)
# It began, perhaps, and there will be no result.
LOST: Final = (ReplicaLost, EngineLost, BadTransfer)
# Processes that are remembered as warm, should their addresses go and come back.
REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """``check_seconds``: between two looks at a replica, and at DNS. ``most_each``: stages that one
    replica has at once. ``most_waiting``: callers that wait for one; ``wait_seconds``: how long.
    ``prove_seconds``: that the warmup of a replica may take.
    """

    bounds: Bounds
    security: Security
    check_seconds: float = 1.0
    most_each: int = 4
    most_waiting: int = 64
    wait_seconds: float = 10.0
    prove_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Listener:
    """``changed``: a replica came, went, or is otherwise than it was. ``lost``: a stage is done a
    second time.
    """

    changed: Callable[[], None] = lambda: None
    lost: Callable[[], None] = lambda: None


SILENT: Final = Listener()


class Pool:
    """``watch`` must be running as a task. ``prove`` sends a replica its warmup, and raises a
    ``RequestError`` where that fails.
    """

    def __init__(
        self,
        role: Role,
        addresses: Addresses,
        prove: Prove,
        options: PoolOptions,
        listener: Listener = SILENT,
    ) -> None:
        self._role = role
        self._addresses = addresses
        self._prove_one = prove
        self._options = options
        self._listener = listener
        self._replicas: dict[Address, Replica] = {}
        self._leaving: set[Replica] = set()
        self._proven: OrderedDict[str, None] = OrderedDict()
        self._waiting: dict[object, asyncio.Event] = {}

    @property
    def ready(self) -> bool:
        """At least one replica can take work."""
        return any(each.usable for each in self._replicas.values())

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """All that are there, by address."""
        return tuple(self._replicas[each] for each in sorted(self._replicas))

    @property
    def usable(self) -> int:
        """How many replicas can take work."""
        return sum(each.usable for each in self._replicas.values())

    def reports(self) -> tuple[ReplicaReport, ...]:
        """Every replica that is known, by address; then those that finish what they have."""
        leaving = sorted(self._leaving, key=lambda each: each.address)
        return tuple(each.report() for each in (*self.replicas, *leaving))

    def reconsider(self) -> None:
        """What failed may be proven now, at once: what it was measured by has changed."""
        for each in self._replicas.values():
            if each.state is ReplicaState.FAILED:
                each.become(ReplicaState.UNPROVEN, TO_COME)
                each.poke()

    async def watch(self) -> None:
        """Follow the addresses and the replicas until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                silent = False
                while True:
                    try:
                        self._follow(await self._addresses.now(), tasks)
                        silent = False
                    except Unresolved as error:
                        if not silent:
                            log.warning("replicas_unresolved", role=self._role, reason=str(error))
                        silent = True
                    await asyncio.sleep(self._options.check_seconds)
        finally:
            for each in self._replicas.values():
                await each.close()

    async def wait_ready(self) -> None:
        """Return when a replica can take work."""
        await self._until(lambda: self.ready)

    async def run(
        self,
        payload: Payload,
        *,
        cost: float = 1.0,
        deadline: float | None = None,
        trace: Mapping[str, str] = NO_TRACE,
        on_step: OnStep = lambda step, of: None,
    ) -> Payload:
        """Have the stage done. ``cost``: of the work, in any unit; the replica with the least of it
        gets it. Steps may be told twice when a replica is lost.

        Raises:
            NoReplica: none is proven, and none became so in ``wait_seconds``.
            QueueFull: too many wait already; or, without a deadline, all had enough to do.
            RequestError: what the replica raised.
        """
        tried: set[str] = set()
        lost: RequestError | None = None
        wait = self._options.wait_seconds
        until = time.monotonic() + wait
        begun = False
        while True:
            replica = await self._next(payload.header.revision, tried, until, deadline, lost)
            if not begun:  # whatever the wait for its turn was
                begun, until = True, time.monotonic() + wait
            tried.add(replica.instance)
            try:
                return await replica.run(
                    payload, cost=cost, deadline=deadline, trace=trace, on_step=on_step
                )
            except QueueFull:
                if not self._usable(payload.header.revision, tried):
                    raise
            except NOT_BEGUN as error:
                replica.suspect(str(error))
                tried.discard(replica.instance)  # it has lost nothing, and may be ready soon
                if time.monotonic() >= until:
                    raise
            except WireVersionMismatch:
                raise
            except LOST as error:
                replica.suspect(str(error))
                log.warning("stage_lost", role=self._role, replica=str(replica.address),
                            request_id=payload.header.request_id, reason=str(error))  # fmt: skip
                if lost is not None:
                    raise
                lost = error
                self._listener.lost()
                until = time.monotonic() + wait
            finally:
                self._wake()

    async def _next(
        self,
        revision: str,
        tried: set[str],
        until: float,
        deadline: float | None,
        lost: RequestError | None,
    ) -> Replica:
        """The least busy one that was not tried, as soon as there is one. Who is busy will be free;
        who is gone may never come back: that is waited for no longer than ``until``."""
        while (found := self._least_busy(revision, tried)) is None:
            if len(self._waiting) >= self._options.most_waiting:
                raise QueueFull(len(self._waiting), RETRY_SECONDS)
            busy = bool(self._usable(revision, tried))
            limit = until if deadline is None else deadline if busy else min(until, deadline)
            try:
                async with asyncio.timeout(max(0.0, limit - time.monotonic())):
                    await self._until(partial(self._otherwise, busy, revision, tried))
            except TimeoutError:
                if limit == deadline:
                    late = f"no {self._role} was free before the deadline"
                    raise DeadlineExceeded(late) from lost
                if busy:
                    raise QueueFull(len(self._waiting), RETRY_SECONDS) from lost
                raise NoReplica(self.why_none(revision), RETRY_SECONDS) from lost
            if busy:
                until = max(until, time.monotonic() + self._options.wait_seconds)
        return found

    def _otherwise(self, busy: bool, revision: str, tried: set[str]) -> bool:
        free = self._least_busy(revision, tried) is not None
        return free or bool(self._usable(revision, tried)) is not busy

    def _usable(self, revision: str, tried: set[str]) -> list[Replica]:
        return [
            each
            for each in self._replicas.values()
            if each.usable and each.instance not in tried and revision in ("", each.revision)
        ]

    def _least_busy(self, revision: str, tried: set[str]) -> Replica | None:
        return min(
            (e for e in self._usable(revision, tried) if e.running < self._options.most_each),
            key=lambda each: (each.outstanding, each.last_use),
            default=None,
        )

    def why_none(self, revision: str = "") -> str:
        """For the client: how many are how. Addresses are for the metadata."""
        counts: dict[str, int] = {}
        for each in self._replicas.values():
            known = str(each.state) if each.serving else f"{each.state}, not serving"
            if each.usable and revision not in ("", each.revision):
                known = "of another revision of the model"
            counts[known] = counts.get(known, 0) + 1
        told = ", ".join(f"{count} {known}" for known, count in counts.items())
        return f"no {self._role} can take the work: {told or 'there is none'}"

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Callers wake in the order of their arrival."""
        place = object()
        news = self._waiting[place] = asyncio.Event()
        try:
            while not condition():
                await news.wait()
                news.clear()
        finally:
            del self._waiting[place]

    def _wake(self) -> None:
        for each in self._waiting.values():
            each.set()
        self._listener.changed()

    def _follow(self, addresses: frozenset[Address], tasks: asyncio.TaskGroup) -> None:
        for address in self._replicas.keys() - addresses:
            gone = self._replicas.pop(address)
            log.info("replica_gone", role=self._role, replica=str(address))
            self._leaving.add(gone)
            tasks.create_task(self._see_off(gone))
        for address in addresses - self._replicas.keys():
            options = self._options
            replica = Replica(self._role, address, options.bounds, options.security)
            self._replicas[address] = replica
            log.info("replica_found", role=self._role, replica=str(address))
            tasks.create_task(self._keep(replica))
        self._wake()

    async def _see_off(self, replica: Replica) -> None:
        try:
            await replica.leave()
        finally:
            self._leaving.discard(replica)
            self._wake()

    async def _keep(self, replica: Replica) -> None:
        """Look at it again and again, and prove what is not proven."""
        wait, again, of = PROVE_AGAIN_SECONDS, 0.0, ""
        while replica.state is not ReplicaState.GONE:
            await replica.look()
            if replica.instance != of:  # another process has a fresh start
                wait, again, of = PROVE_AGAIN_SECONDS, 0.0, replica.instance
            if replica.state is ReplicaState.UNPROVEN:
                again = 0.0
            if self._to_prove(replica) and time.monotonic() >= again:
                await self._prove(replica)
                if replica.state is ReplicaState.FAILED:
                    again = time.monotonic() + wait
                    wait = min(2 * wait, PROVE_AGAIN_MOST_SECONDS)
            self._wake()
            await replica.pause(self._options.check_seconds)

    def _to_prove(self, replica: Replica) -> bool:
        return replica.serving and replica.state in (ReplicaState.UNPROVEN, ReplicaState.FAILED)

    async def _prove(self, replica: Replica) -> None:
        instance = replica.instance
        if instance not in self._proven:
            try:
                async with asyncio.timeout(self._options.prove_seconds):
                    await self._prove_one(replica)
            except (RequestError, TimeoutError) as error:
                reason = str(error) or f"no end after {self._options.prove_seconds:g} s"
                log.warning("replica_failed", role=self._role, replica=str(replica.address),
                            reason=reason)  # fmt: skip
                if not isinstance(error, RevisionMismatch):
                    reason = f"its warmup failed: {reason}"
                replica.become(ReplicaState.FAILED, reason)
                return
        self._proven[instance] = None
        while len(self._proven) > REMEMBERED:
            self._proven.popitem(last=False)
        replica.become(ReplicaState.PROVEN)
        log.info("replica_proven", role=self._role, replica=str(replica.address))
