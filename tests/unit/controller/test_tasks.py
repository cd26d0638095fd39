"""All tasks that a library makes are found, and all of them end (C10)."""

import asyncio
from contextlib import suppress

from controller.tasks import end, remembered


async def parent(begin: asyncio.Event, made: list[asyncio.Task[None]]) -> None:
    await begin.wait()
    made.append(asyncio.create_task(asyncio.sleep(3600)))
    begin.clear()
    await asyncio.sleep(3600)


async def test_c10_tasks_and_those_that_they_make_areremembered_and_no_others() -> None:
    begin = asyncio.Event()
    theirs: list[asyncio.Task[None]] = []
    ours: list[asyncio.Task[None]] = []
    stranger = asyncio.create_task(parent(begin, theirs))
    await asyncio.sleep(0)
    with remembered() as tasks:
        root = asyncio.create_task(parent(begin, ours))
        await asyncio.sleep(0)
        begin.set()
        await asyncio.sleep(0)
        assert tasks == {root, *ours}
        assert len(ours) == len(theirs) == 1
        await end((root,), tasks)
    assert all(each.done() for each in (root, *ours))
    assert not any(each.done() for each in (stranger, *theirs))
    for each in (stranger, *theirs):
        each.cancel()


async def test_c10_a_task_that_mistakes_its_cancellation_is_cancelled_again() -> None:
    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    with remembered() as tasks:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await end((), tasks)
    assert task.cancelled()
