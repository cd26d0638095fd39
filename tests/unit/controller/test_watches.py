"""When watches are begun anew, and when not (C07, C10)."""

import asyncio
import getpass
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import kopf
import pytest
from kopf._cogs.structs.references import Insights, Resource

from controller import watches as module
from controller.api.kinds import LEASE, WATCHED, Kind
from controller.cluster import Unreachable
from controller.observed import Observed
from controller.watches import Watches

REQUIRED = tuple(each for each in WATCHED if not each.optional)
NEW = next(each for each in WATCHED if each.optional)


def seen(kinds: Iterable[Kind]) -> Insights:
    """What kopf has found at its start."""
    found = Insights()
    found.watched_resources.update(
        Resource(each.group, each.version, each.plural) for each in kinds
    )
    found.ready_resources.set()
    return found


class Served:
    """Whether the cluster knows kinds, and how often that was asked."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Kind] = []

    async def __call__(self, kind: Kind) -> bool:
        self.asked.append(kind)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def watches(serves: Served, hear: Callable[[], None] = lambda: None) -> Watches:
    return Watches(Observed(), lambda key: None, (), serves, hear)


async def turns() -> None:
    """Let others go as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_c07_watches_lack_a_kind_from_the_moment_in_which_it_answers() -> None:
    serves = Served(True)
    ours = watches(serves)
    lacking = asyncio.create_task(ours._lacking(seen(REQUIRED)))
    await turns()
    assert not lacking.done()
    ours.answered(LEASE)  # nobody watches it
    ours.answered(REQUIRED[0])
    await turns()
    assert not serves.asked
    ours.answered(NEW)
    assert await lacking is NEW


async def test_c07_a_kind_that_has_gone_again_is_not_lacking_until_it_answers_again() -> None:
    serves = Served(False, True)
    ours = watches(serves)
    ours.answered(NEW)
    lacking = asyncio.create_task(ours._lacking(seen(REQUIRED)))
    await turns()
    assert not lacking.done()
    assert serves.asked == [NEW]
    ours.answered(NEW)
    assert await lacking is NEW


async def test_c10_an_api_server_that_lists_less_than_must_be_there_is_looked_at_again() -> None:
    """As one that has just started may."""
    ours = watches(Served())
    for kind in REQUIRED:
        assert await ours._lacking(seen({*REQUIRED} - {kind})) is kind


async def test_c10_one_that_does_not_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RETRY", 0)
    serves = Served(Unreachable("no", 0), True)
    ours = watches(serves)
    ours.answered(NEW)
    assert await ours._lacking(seen(REQUIRED)) is NEW
    assert serves.asked == [NEW, NEW]


async def test_c10_watches_that_end_at_once_are_begun_more_and_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    enough = asyncio.Event()

    async def spawn_tasks(**given: Any) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(turns())]

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > len(module.PAUSES):
            enough.set()
            await asyncio.Event().wait()

    class Shortened:
        def __getattr__(self, name: str) -> Any:
            return sleep if name == "sleep" else getattr(asyncio, name)

    monkeypatch.setattr(kopf, "spawn_tasks", spawn_tasks)
    monkeypatch.setattr(module, "asyncio", Shortened())
    task = asyncio.create_task(watches(Served()).run())
    await enough.wait()
    task.cancel()
    assert pauses == [*module.PAUSES, module.PAUSES[-1]]


async def test_c10_a_comparison_is_asked_for_with_each_start_but_the_first() -> None:
    ours = watches(Served())
    first = asyncio.create_task(ours._lacking(seen(WATCHED)))
    await turns()
    assert not ours.begun_anew.is_set()
    first.cancel()
    ours._first = False
    second = asyncio.create_task(ours._lacking(seen(WATCHED)))
    await turns()
    assert ours.begun_anew.is_set()
    second.cancel()


async def test_c13_the_user_of_the_image_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no line for it in the image's /etc/passwd."""

    def nameless() -> NoReturn:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr(getpass, "getuser", nameless)
    begun = asyncio.Event()
    task = asyncio.create_task(watches(Served(), begun.set).run())
    await asyncio.wait({task, asyncio.create_task(begun.wait())},
                       return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
    assert begun.is_set(), task.exception()
    task.cancel()
    await asyncio.wait({task})
