"""The queue of keys."""

import asyncio

import pytest

from controller.work_queue import LONGEST_DELAY, WorkQueue, backoff

PATIENCE = 5.0


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue()


async def take(queue: WorkQueue[str]) -> str:
    async with asyncio.timeout(PATIENCE):
        return await queue.take()


async def test_a_key_waits_once_however_often_it_is_added(queue: WorkQueue[str]) -> None:
    for _ in range(3):
        queue.add("fox")
    queue.add("hen")
    assert [await take(queue), await take(queue)] == ["fox", "hen"]
    assert len(queue) == 0


async def test_a_key_is_never_worked_on_twice_at_the_same_time(queue: WorkQueue[str]) -> None:
    queue.add("fox")
    await take(queue)
    queue.add("fox")
    assert len(queue) == 0, "it is being worked on"
    queue.done("fox", failed=False)
    assert await take(queue) == "fox", "and comes again afterwards"


async def test_what_is_done_does_not_come_again(queue: WorkQueue[str]) -> None:
    queue.add("fox")
    queue.done(await take(queue), failed=False)
    assert len(queue) == 0


def test_failures_come_back_later_and_later() -> None:
    assert [backoff(each) for each in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert backoff(50) == LONGEST_DELAY


async def test_a_failure_comes_back_after_its_delay_and_not_at_once(
    queue: WorkQueue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    monkeypatch.setattr(queue.__class__, "add_later", lambda _, key, wait: delays.append(wait))
    for _ in range(3):
        queue.add("fox")
        await take(queue)
        queue.add("fox")  # an event that its own work caused
        queue.done("fox", failed=True)
        assert len(queue) == 0
    queue.add("fox")
    queue.done(await take(queue), failed=False)
    queue.add("fox")
    queue.done(await take(queue), failed=True)
    assert delays == [0.5, 1, 2, 0.5], "a success ends the series"


async def test_c10_a_failure_that_asks_for_patience_is_given_it(
    queue: WorkQueue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    monkeypatch.setattr(queue.__class__, "add_later", lambda _, key, wait: delays.append(wait))
    for again in (7, 0.1, None):
        queue.add("fox")
        queue.done(await take(queue), failed=True, again=again)
    queue.add("fox")
    queue.done(await take(queue), failed=False, again=5)
    queue.add("fox")
    queue.done(await take(queue), failed=False)
    assert delays == [7, 1, 2, 5], "the longer of what is asked for and what is usual"


async def test_a_delayed_key_comes_by_itself(queue: WorkQueue[str]) -> None:
    queue.add_later("fox", 0.01)
    assert len(queue) == 0
    assert await take(queue) == "fox"


async def test_an_event_ends_the_delay(queue: WorkQueue[str]) -> None:
    queue.add_later("fox", 3600)
    queue.add("fox")
    assert await take(queue) == "fox"
    queue.done("fox", failed=False)
    assert not queue._timers


async def test_the_earlier_of_two_delays_counts(queue: WorkQueue[str]) -> None:
    queue.add_later("fox", 0.01)
    queue.add_later("fox", 3600)
    assert await take(queue) == "fox"


async def test_waiting_is_measured() -> None:
    waits: list[float] = []
    queue: WorkQueue[str] = WorkQueue(waits.append)
    queue.add("fox")
    await take(queue)
    assert len(waits) == 1
    assert waits[0] >= 0
