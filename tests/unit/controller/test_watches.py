"""kopf's tasks: all of them are found, and all of them end (C10)."""

import asyncio
import getpass
from contextlib import suppress
from typing import NoReturn

import pytest

from controller.observed import Observed
from controller.watches import _end, _remembered, watch


async def parent(begin: asyncio.Event, made: list[asyncio.Task[None]]) -> None:
    await begin.wait()
    made.append(asyncio.create_task(asyncio.sleep(3600)))
    begin.clear()
    await asyncio.sleep(3600)


async def test_c10_tasks_and_those_that_they_make_are_remembered_and_no_others() -> None:
    begin = asyncio.Event()
    theirs: list[asyncio.Task[None]] = []
    ours: list[asyncio.Task[None]] = []
    stranger = asyncio.create_task(parent(begin, theirs))
    await asyncio.sleep(0)
    with _remembered() as tasks:
        root = asyncio.create_task(parent(begin, ours))
        await asyncio.sleep(0)
        begin.set()
        await asyncio.sleep(0)
        assert tasks == {root, *ours}
        assert len(ours) == len(theirs) == 1
        await _end((root,), tasks)
    assert all(each.done() for each in (root, *ours))
    assert not any(each.done() for each in (stranger, *theirs))
    for each in (stranger, *theirs):
        each.cancel()


async def test_c10_a_task_that_mistakes_its_cancellation_is_cancelled_again() -> None:
    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    with _remembered() as tasks:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await _end((), tasks)
    assert task.cancelled()


async def test_c13_the_user_of_the_image_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no line for it in the image's /etc/passwd."""

    def nameless() -> NoReturn:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr(getpass, "getuser", nameless)
    watches = asyncio.Event()
    task = asyncio.create_task(watch(Observed(), lambda key: None, (), watches.set))
    await asyncio.wait({task, asyncio.create_task(watches.wait())},
                       return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
    assert watches.is_set(), task.exception()
    task.cancel()
    await asyncio.wait({task})
