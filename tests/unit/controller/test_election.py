"""Who may lead. What a cluster makes of it is in tests/cluster/operator/test_faults.py (C10)."""

from typing import Any

import pytest

from controller.cluster import Cluster, Unreachable
from controller.election import Election, Move, Seen, Terms

LASTS = Terms().lasts


def lease(holder: str, renewed: str = "2026-01-01T00:00:00.000000Z") -> dict[str, Any]:
    return {"metadata": {}, "spec": {"holderIdentity": holder, "renewTime": renewed}}


def seen(record: dict[str, Any] | None, at: float = 0.0) -> Seen:
    made = Seen()
    made.look(record, at)
    return made


@pytest.mark.parametrize(
    ("record", "now", "move"),
    [
        (None, 0, Move.CREATE),
        (lease("me"), 0, Move.RENEW),
        (lease("me"), 1000, Move.RENEW),
        (lease(""), 0, Move.TAKE),
        (lease("other"), 0, Move.WAIT),
        (lease("other"), LASTS - 0.1, Move.WAIT),
        (lease("other"), LASTS, Move.TAKE),
    ],
)
def test_c10_who_may_do_what(record: dict[str, Any] | None, now: float, move: Move) -> None:
    assert seen(record).move("me", LASTS, now) is move


def test_c10_a_lease_that_is_renewed_is_not_taken() -> None:
    watched = seen(lease("other"))
    for second in range(1, 10):
        watched.look(lease("other", f"2026-01-01T00:00:{second:02}Z"), second * 5.0)
        assert watched.move("me", LASTS, second * 5.0 + 4.9) is Move.WAIT


def test_c10_nobodys_clock_has_to_be_right() -> None:
    watched = seen(lease("other", "1999-01-01T00:00:00Z"))
    assert watched.move("me", LASTS, 1) is Move.WAIT, "its times are never compared with ours"
    watched.look(lease("other", "2099-01-01T00:00:00Z"), 2)
    watched.look(lease("other", "2099-01-01T00:00:00Z"), 2 + LASTS)
    assert watched.move("me", LASTS, 2 + LASTS) is Move.TAKE


def test_c10_a_leader_gives_up_before_another_may_begin() -> None:
    terms = Terms()
    assert terms.give_up < terms.lasts
    assert terms.renew < terms.give_up
    assert terms.lasts + terms.retry < 30


class Server(Cluster):
    """An API server that takes every lease; no HTTP."""

    def __init__(self) -> None:
        self.record: dict[str, Any] | None = None

    async def get(self, *_: Any) -> dict[str, Any] | None:
        return self.record

    async def write_lease(self, lease: dict[str, Any], *, new: bool) -> dict[str, Any]:
        self.record = lease
        return lease


async def test_c10_a_leader_holds_the_lease_until_others_could_have_it() -> None:
    now = 100.0
    election = Election(Server(), "art", "lease", "me", clock=lambda: now)
    assert not election.holds(), "not before it has won"
    await election.win()
    assert election.holds()
    now += Terms().give_up - 0.1
    assert election.holds()
    now += 0.1
    assert not election.holds(), "though nobody has told it"
    await election.win()
    assert election.holds()


async def test_c10_on_a_bad_day_a_leader_keeps_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight attempts in a row fail, and the ninth still comes in time."""
    now = 100.0
    server = Server()
    election = Election(server, "art", "lease", "me", clock=lambda: now)
    await election.win()
    failures = 0

    async def get(*_: Any) -> dict[str, Any] | None:
        nonlocal failures
        failures += 1
        if failures <= 8:
            raise Unreachable("no", 500)
        (server.record or {})["spec"]["holderIdentity"] = "other"
        return server.record

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(server, "get", get)
    monkeypatch.setattr("controller.election.asyncio.sleep", sleep)
    await election.keep()
    assert failures == 9
