"""One replica of a role, as its callers see it: who it is, how it is, and what it has to do."""

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..contract.roles import Role
from ..contract.wire import READABLE_VERSIONS
from ..errors import BadTransfer, DeadlineExceeded, EngineLost, NotReady, ReplicaLost, RequestError
from .addresses import Address
from .calling import Security
from .client import StageClient
from .payload import Bounds, Payload
from .protocol import NO_TRACE, Identity, OnStep

LOOK_SECONDS: Final = 2.0
TO_COME: Final = "its warmup is to come"
# It may be there again in a moment; other errors stay until somebody mends them.
PASSING: Final = (ReplicaLost, EngineLost, NotReady, DeadlineExceeded)


class ReplicaState(StrEnum):
    """W44: only a ``proven`` one gets traffic. ``failed``: its warmup failed, or it cannot be
    talked to; it is tried again. ``gone``: it finishes what it has.
    """

    UNPROVEN = "unproven"
    PROVEN = "proven"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """A replica at one moment, for metadata and metrics. ``reason``: why it gets no traffic."""

    address: str
    state: ReplicaState
    serving: bool
    running: int
    instance: str
    revision: str
    reason: str


class Replica:
    """All of it belongs to the event loop's thread."""

    _uses = itertools.count()

    def __init__(self, role: Role, address: Address, bounds: Bounds, security: Security) -> None:
        self.address = address
        self.state = ReplicaState.UNPROVEN
        self.reason = ""
        self.identity: Identity | None = None
        self.serving = False
        self.running = 0
        self.outstanding = 0.0
        self.last_use = -1
        self._role = role
        self._client = StageClient(address, bounds, security)
        self._poked = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def usable(self) -> bool:
        return self.state is ReplicaState.PROVEN and self.serving

    @property
    def instance(self) -> str:
        """Of the process that was seen last; empty before."""
        return self.identity.instance if self.identity else ""

    @property
    def revision(self) -> str:
        return self.identity.revision if self.identity else ""

    def report(self) -> ReplicaReport:
        return ReplicaReport(
            str(self.address), self.state, self.serving, self.running, self.instance,
            self.revision, self.reason,
        )  # fmt: skip

    async def look(self) -> None:
        """Ask how it is, and who. Another process than before has proven nothing."""
        try:
            found = await self._client.describe(LOOK_SECONDS)
            self._check(found.identity, found.wire_versions)
            serving = await self._client.serving(LOOK_SECONDS)
        except PASSING as error:
            self.serving, self.reason = False, str(error)
            return
        except RequestError as error:
            self.serving = False
            self.become(ReplicaState.FAILED, str(error))
            return
        replaced = found.identity.instance != self.instance
        self.identity = found.identity  # its model's revision is known once that is loaded
        if replaced:
            self.become(ReplicaState.UNPROVEN, TO_COME)
        self.serving = serving
        if not serving:
            self.reason = f"it is {found.state}"
        elif self.state is ReplicaState.PROVEN:
            self.reason = ""

    def _check(self, found: Identity, versions: tuple[int, ...]) -> None:
        if found.role is not self._role:
            raise BadTransfer(f"{self.address} is a {found.role}, and not one of the {self._role}s")
        if not set(versions) & set(READABLE_VERSIONS):
            theirs, ours = (", ".join(map(str, each)) for each in (versions, READABLE_VERSIONS))
            raise BadTransfer(
                f"{self.address} reads versions {theirs} of the header, and this one {ours}"
            )

    def become(self, state: ReplicaState, reason: str = "") -> None:
        if self.state is not ReplicaState.GONE:
            self.state, self.reason = state, reason

    def suspect(self, reason: str) -> None:
        """It did not do what it should: no more for it until it was looked at."""
        self.serving, self.reason = False, reason
        self.poke()

    def poke(self) -> None:
        """There is a reason to look."""
        self._poked.set()

    async def pause(self, seconds: float) -> None:
        """Return after that time, or as soon as there is a reason to look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._poked.wait()
        self._poked.clear()

    async def run(
        self,
        payload: Payload,
        *,
        cost: float = 1.0,
        deadline: float | None = None,
        trace: Mapping[str, str] = NO_TRACE,
        on_step: OnStep = lambda step, of: None,
    ) -> Payload:
        """One stage, on the process that was seen last and no other. ``cost``: in the unit of all
        that are compared.

        Raises:
            RequestError: what the replica raised; ``ReplicaLost`` when it is gone.
        """
        self.running += 1
        self.outstanding += cost
        self.last_use = next(self._uses)
        self._idle.clear()
        try:
            return await self._client.run(
                payload, deadline=deadline, instance=self.instance, trace=trace, on_step=on_step
            )
        finally:
            self.running -= 1
            # Not a sum of what floats leave behind.
            self.outstanding = self.outstanding - cost if self.running else 0.0
            if not self.running:
                self._idle.set()

    async def leave(self) -> None:
        """Let it finish what it has, then forget it."""
        self.become(ReplicaState.GONE)
        self._poked.set()
        try:
            await self._idle.wait()
        finally:
            await self._client.close()

    async def close(self) -> None:
        """At once."""
        self.become(ReplicaState.GONE)
        await self._client.close()
