"""All tasks that are made in a block, those of libraries as well, and the end of all of them. A
library that outlives its own end would go on beside its successor.
"""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

# Seconds for roots to end in their own order; then between two attempts to end what is left.
IN_ORDER: Final = 5.0
INSIST: Final = 0.5

Tasks = set["asyncio.Task[Any]"]

_collection: ContextVar[Tasks | None] = ContextVar("collection", default=None)


@contextmanager
def remembered() -> Iterator[Tasks]:
    """All tasks that are made in here, and that those make: a task begins with the context in which
    it was made. Those that have ended are forgotten.
    """
    tasks: Tasks = set()
    token = _collection.set(tasks)
    loop = asyncio.get_running_loop()
    loop.set_task_factory(_made)
    try:
        yield tasks
    finally:
        loop.set_task_factory(None)
        _collection.reset(token)


async def end(roots: Collection["asyncio.Task[Any]"], tasks: Tasks) -> None:
    """Return when all have ended. One that takes its cancellation for something else (kopf's
    streams do, if what they wait for is cancelled with them) is cancelled again.
    """
    for each in roots:
        each.cancel()
    if roots:
        await asyncio.wait(roots, timeout=IN_ORDER)
    while left := {each for each in tasks if not each.done()}:
        for each in left:
            each.cancel()
        await asyncio.wait(left, timeout=INSIST)


def errors(tasks: Collection["asyncio.Task[Any]"]) -> Iterator[BaseException]:
    """By which they ended."""
    for each in tasks:
        if each.done() and not each.cancelled() and (error := each.exception()):
            yield error


def _made(loop: asyncio.AbstractEventLoop, coro: Any, **given: Any) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **given)
    if (tasks := _collection.get()) is not None:
        tasks.add(task)
        task.add_done_callback(partial(_forget, tasks))
    return task


def _forget(tasks: Tasks, task: "asyncio.Task[Any]") -> None:
    tasks.discard(task)
    if not task.cancelled():
        task.exception()  # kopf has logged it
