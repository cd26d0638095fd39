"""W44: who is warmed up together. A team has one replica of each role: those that are yet to be
proven first. Where a role has no other, a proven one stands in, or one that is being proven. So
each replica is proven in a whole chain, in as few chains as there are replicas of the largest role,
and a slow one holds nobody up.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from ..contract.roles import Role
from ..errors import GenerationFailed, ReplicaLost, RequestError
from ..telemetry.logs import get_logger
from ..transport.replica import Replica, ReplicaState
from .chain import CHAIN, Passage

log = get_logger(__name__)


BROKEN_OFF: Final = "the warmup was broken off"


@dataclass(eq=False, slots=True)
class Candidate:
    """A replica that waits to be proven."""

    role: Role
    replica: Replica
    verdict: asyncio.Future[None]


@dataclass(eq=False, slots=True)
class Team:
    """``passage``: the last request that was sent through it. ``error``: what came of that."""

    number: int
    members: dict[Role, Replica]
    candidates: list[Candidate]
    passage: Passage | None = None
    error: RequestError | None = None

    @property
    def blamed(self) -> Role | None:
        """The role that had the request when it failed."""
        return self.passage.at if self.passage else None


Run = Callable[[Team], Awaitable[None]]


@dataclass(eq=False, slots=True)
class Teams:
    """``run`` sends the plan through a team, or raises a ``RequestError``. ``proven``: the replica
    of a role that stands in where no other waits. ``match`` looks whether there is a team by now.
    """

    run: Run
    proven: Callable[[Role], Replica | None]
    _waiting: dict[Role, list[Candidate]] = field(
        default_factory=lambda: {role: [] for role in CHAIN}
    )
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _tried: list[Candidate] = field(default_factory=list)
    _closed: bool = False

    async def prove(self, role: Role, replica: Replica) -> None:
        """Return when it has been through the plan.

        Raises:
            RequestError: it failed; or another one did, which is then the cause.
        """
        verdict: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        candidate = Candidate(role, replica, verdict)
        self._waiting[role].append(candidate)
        self.match()
        try:
            await verdict
        finally:
            if candidate in self._waiting[role]:
                self._waiting[role].remove(candidate)

    def match(self) -> None:
        """Begin with every team that is complete."""
        if self._closed:
            return
        self._let_go()
        while (team := self._next()) is not None:
            task = asyncio.create_task(self._try(team))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def close(self) -> None:
        """Break off what runs."""
        self._closed = True
        for each in self._running:
            each.cancel()

    def _let_go(self) -> None:
        """Who is gone waits for nothing."""
        for waiting in self._waiting.values():
            for each in list(waiting):
                if each.replica.state is ReplicaState.GONE:
                    waiting.remove(each)
                    _fail(each, ReplicaLost(f"{each.replica.address} is gone"))

    def _next(self) -> Team | None:
        if not any(self._waiting.values()):
            return None
        members: dict[Role, Replica] = {}
        for role in CHAIN:
            waiting = self._waiting[role]
            found = waiting[0].replica if waiting else self.proven(role) or self._being_tried(role)
            if found is None:
                return None
            members[role] = found
        candidates = [self._waiting[role].pop(0) for role in CHAIN if self._waiting[role]]
        return Team(next(self._numbers), members, candidates)

    def _being_tried(self, role: Role) -> Replica | None:
        return next((each.replica for each in self._tried if each.role is role), None)

    async def _try(self, team: Team) -> None:
        told = {str(role): str(each.address) for role, each in team.members.items()}
        log.info("chain_warmup", number=team.number, **told)
        self._tried.extend(team.candidates)
        try:
            await self.run(team)
            for each in team.candidates:
                if not each.verdict.done():
                    each.verdict.set_result(None)
        except RequestError as error:
            log.warning("chain_warmup_failed", number=team.number, blamed=team.blamed,
                        reason=str(error), **told)  # fmt: skip
            self._judge(team, error)
        finally:
            self._tried = [each for each in self._tried if each not in team.candidates]
            again = [each for waiting in self._waiting.values() for each in waiting]
            for each in team.candidates:
                if each not in again:
                    _fail(each, GenerationFailed(BROKEN_OFF))
            self.match()

    def _judge(self, team: Team, error: RequestError) -> None:
        """Only who failed has failed. The others try again: with another one, if that one was yet
        to be proven; later, if it is one that serves users.
        """
        blamed = team.blamed
        guilty = [each for each in team.candidates if blamed in (None, each.role)]
        for each in guilty:
            _fail(each, error)
        for each in team.candidates:
            if each in guilty or each.verdict.done():
                continue
            if guilty:
                self._waiting[each.role].insert(0, each)
            else:
                assert blamed is not None
                where = f"the {blamed} {team.members[blamed].address}"
                elsewhere = ReplicaLost(f"its chain was lost at {where}: {error}")
                elsewhere.__cause__ = error
                _fail(each, elsewhere)


def _fail(candidate: Candidate, error: RequestError) -> None:
    if not candidate.verdict.done():
        candidate.verdict.set_exception(error)


def cause_of(error: RequestError) -> RequestError:
    """What went wrong, wherever in the chain that was."""
    return error.__cause__ if isinstance(error.__cause__, RequestError) else error
