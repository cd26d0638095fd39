"""W44: who is warmed up together, who is blamed, and who tries again."""

import asyncio
from typing import Any

import pytest

from model.contract.roles import Role
from model.errors import GenerationFailed, ReplicaLost, RequestError
from model.roles.chain import CHAIN, Passage
from model.roles.teams import Team, Teams, cause_of
from model.transport.replica import ReplicaState
from tests.unit.model.transport.support import until

ENCODER, DENOISER, DECODER = CHAIN


class Seat:
    """What teams look at of a replica."""

    def __init__(self, name: str) -> None:
        self.address = name
        self.instance = name
        self.state = ReplicaState.UNPROVEN


class Ground:
    """Teams whose runs the test ends, and the replicas that are proven already."""

    def __init__(self) -> None:
        self.proven: dict[Role, Any] = {}
        self.ran: list[Team] = []
        self.ends: list[asyncio.Future[None]] = []
        self.teams = Teams(self.run, self.proven.get)

    async def run(self, team: Team) -> None:
        self.ran.append(team)
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ends.append(end)
        await end

    def prove(self, role: Role, name: str) -> asyncio.Task[None]:
        return asyncio.create_task(self.teams.prove(role, Seat(name)))  # type: ignore[arg-type]

    async def members(self, number: int) -> list[str]:
        await until(lambda: len(self.ran) > number, f"team {number}")
        return [str(self.ran[number].members[role].address) for role in CHAIN]

    def fail(self, number: int, role: Role | None, error: RequestError) -> None:
        passage = Passage(None)  # type: ignore[arg-type]
        passage.at = role
        self.ran[number].passage = passage
        self.ends[number].set_exception(error)


@pytest.fixture
def ground() -> Ground:
    return Ground()


async def test_w44_a_team_begins_when_each_role_has_one(ground: Ground) -> None:
    waiting = [ground.prove(ENCODER, "e"), ground.prove(DENOISER, "d")]
    await asyncio.sleep(0)
    assert not ground.ran
    waiting.append(ground.prove(DECODER, "v"))
    assert await ground.members(0) == ["e", "d", "v"]
    ground.ends[0].set_result(None)
    await asyncio.gather(*waiting)
    assert len(ground.ran) == 1, "one chain proves all three"


async def test_w44_a_slow_one_holds_nobody_up(ground: Ground) -> None:
    first = [ground.prove(role, "one") for role in CHAIN]
    await ground.members(0)
    second = ground.prove(DENOISER, "two")
    assert await ground.members(1) == ["one", "two", "one"]
    ground.ends[1].set_result(None)
    await second
    assert not any(each.done() for each in first)
    ground.ends[0].set_result(None)
    await asyncio.gather(*first)


async def test_w44_proven_ones_stand_in(ground: Ground) -> None:
    ground.proven |= {ENCODER: Seat("warm"), DECODER: Seat("warm")}
    late = ground.prove(DENOISER, "late")
    assert await ground.members(0) == ["warm", "late", "warm"]
    ground.ends[0].set_result(None)
    await late


async def test_w44_only_who_failed_has_failed(ground: Ground) -> None:
    encoder, decoder = ground.prove(ENCODER, "e"), ground.prove(DECODER, "v")
    bad = ground.prove(DENOISER, "bad")
    await ground.members(0)
    ground.fail(0, DENOISER, GenerationFailed("NaN"))
    with pytest.raises(GenerationFailed, match="NaN"):
        await bad
    assert not encoder.done()
    good = ground.prove(DENOISER, "good")
    assert await ground.members(1) == ["e", "good", "v"]
    ground.ends[1].set_result(None)
    await asyncio.gather(encoder, decoder, good)


async def test_w44_who_is_proven_already_is_nobodys_failure(ground: Ground) -> None:
    ground.proven |= {ENCODER: Seat("warm"), DECODER: Seat("warm")}
    late = ground.prove(DENOISER, "late")
    await ground.members(0)
    ground.fail(0, DECODER, GenerationFailed("black"))
    with pytest.raises(ReplicaLost, match="its chain was lost at the decoder warm: black") as lost:
        await late
    assert isinstance(cause_of(lost.value), GenerationFailed)


async def test_what_no_role_has_raised_fails_all(ground: Ground) -> None:
    all_of_them = [ground.prove(role, "x") for role in CHAIN]
    await ground.members(0)
    ground.fail(0, None, GenerationFailed("of the router"))
    for each in all_of_them:
        with pytest.raises(GenerationFailed, match="of the router"):
            await each


async def test_who_is_gone_waits_for_nothing(ground: Ground) -> None:
    seat = Seat("e")
    waiting = asyncio.create_task(ground.teams.prove(ENCODER, seat))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    seat.state = ReplicaState.GONE
    ground.teams.match()
    with pytest.raises(ReplicaLost, match="e is gone"):
        await waiting


async def test_who_gives_up_is_in_no_later_team(ground: Ground) -> None:
    impatient = ground.prove(ENCODER, "impatient")
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    others = [ground.prove(DENOISER, "d"), ground.prove(DECODER, "v"), ground.prove(ENCODER, "e")]
    assert await ground.members(0) == ["e", "d", "v"]
    ground.ends[0].set_result(None)
    await asyncio.gather(*others)


async def test_the_end_breaks_off_what_runs_and_begins_nothing(ground: Ground) -> None:
    all_of_them = [ground.prove(role, "x") for role in CHAIN]
    await ground.members(0)
    ground.teams.close()
    for each in all_of_them:
        with pytest.raises(GenerationFailed, match="broken off"):
            await each
    assert len(ground.ran) == 1
