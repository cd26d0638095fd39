"""Who leads: one operator of several, by a Lease (C10).

A lease is taken when its record has not changed for as long as it lasts, by our own clock: nobody's
clock needs to be right. Who cannot renew in time stops being the leader before another one may
begin.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from math import inf

from .api.base import Object
from .api.kinds import LEASE
from .cluster import ApiError, Cluster, Conflict
from .logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds. A dead leader is followed within ``lasts`` + ``retry``. Of one that cannot renew,
    ``insist`` apart, half of the attempts may fail on a bad day.
    """

    lasts: float = 15.0
    renew: float = 5.0
    give_up: float = 10.0
    retry: float = 2.0
    insist: float = 0.5


class Move(StrEnum):
    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(slots=True)
class Seen:
    """The record as last read, and when it last changed, by our own clock."""

    record: Object | None = None
    changed: float = 0.0

    def look(self, record: Object | None, now: float) -> None:
        spec = (record or {}).get("spec")
        if spec != (self.record or {}).get("spec") or (record is None) != (self.record is None):
            self.changed = now
        self.record = record

    @property
    def holder(self) -> str:
        """Who leads by the record; empty where nobody does."""
        return ((self.record or {}).get("spec") or {}).get("holderIdentity") or ""

    def move(self, me: str, lasts: float, now: float) -> Move:
        """What ``me`` may do now."""
        if self.record is None:
            return Move.CREATE
        holder = self.holder
        if holder == me:
            return Move.RENEW
        if not holder or now - self.changed >= lasts:
            return Move.TAKE
        return Move.WAIT


@dataclass(slots=True)
class Election:
    """``me`` must be unlike that of any other process."""

    cluster: Cluster
    namespace: str
    name: str
    me: str
    terms: Terms = field(default_factory=Terms)
    clock: Callable[[], float] = lambda: asyncio.get_running_loop().time()
    _seen: Seen = field(default_factory=Seen)
    _renewed: float = -inf

    def holds(self) -> bool:
        """Whether nobody else can have begun. A process that was stopped for a while (a node that
        swaps, a machine that is moved) does not know yet that another one leads; its clock does.
        """
        return self.clock() - self._renewed < self.terms.give_up

    async def win(self) -> None:
        """Return once we lead."""
        log.info("standing_by", lease=f"{self.namespace}/{self.name}", identity=self.me)
        while not await self._try():  # noqa: ASYNC110 - each round asks the cluster
            await asyncio.sleep(self.terms.retry)
        log.info("leading", identity=self.me)

    async def keep(self) -> None:
        """Renew, and return when we lead no more: another one has the lease, or it could not be
        renewed for too long.
        """
        while self.holds():
            if await self._try():
                await asyncio.sleep(self.terms.renew)
            elif self._seen.holder not in ("", self.me):
                break
            else:
                await asyncio.sleep(self.terms.insist)
        log.error("leadership_lost", identity=self.me)

    async def resign(self) -> None:
        """Let another one begin at once. Nothing is done where we do not lead."""
        if self._seen.record is None or self._seen.move(self.me, 0, 0) is not Move.RENEW:
            return
        try:
            async with asyncio.timeout(self.terms.give_up / 2):
                await self.cluster.write_lease(self._record(holder=""), new=False)
            log.info("resigned", identity=self.me)
        except (ApiError, TimeoutError) as error:
            log.warning("not_resigned", reason=str(error) or "no answer in time")

    async def _try(self) -> bool:
        """Whether we lead now."""
        started = self.clock()
        try:
            async with asyncio.timeout(self.terms.give_up / 2):
                self._seen.look(
                    await self.cluster.get(LEASE, self.namespace, self.name), self.clock()
                )
                move = self._seen.move(self.me, self.terms.lasts, self.clock())
                if move is Move.WAIT:
                    return False
                wanted = self._record(holder=self.me)
                answer = await self.cluster.write_lease(wanted, new=move is Move.CREATE)
                self._seen.look(answer, self.clock())
                self._renewed = started
                return True
        except Conflict:
            return False  # another one was faster
        except (ApiError, TimeoutError) as error:
            log.warning("lease_unreachable", reason=str(error) or "no answer in time")
            return False

    def _record(self, holder: str) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = self._seen.record or {}
        spec = dict(before.get("spec") or {})
        if spec.get("holderIdentity") != holder and holder:
            spec["leaseTransitions"] = spec.get("leaseTransitions", -1) + 1
            spec["acquireTime"] = now
        spec |= {
            "holderIdentity": holder,
            "renewTime": now,
            "leaseDurationSeconds": int(self.terms.lasts),
        }
        metadata = {"name": self.name, "namespace": self.namespace}
        if version := (before.get("metadata") or {}).get("resourceVersion"):
            metadata["resourceVersion"] = version  # else two could take it at once
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": metadata,
            "spec": spec,
        }
