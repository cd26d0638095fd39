"""Watch, and go on watching. kopf outlives what it expects of an API server: closed connections,
429, a version that is too old. By everything else (a 410 to a request, a watch that ends with
another error) one of its tasks ends, and it then waits for the others, which wait for it. So its
tasks are ended here, and it is started anew: it reads everything at its start, and the resync
finds what it does not tell.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

import kopf

from .handlers import registry, settings
from .logs import get_logger
from .observed import Observed, ServiceKey

log = get_logger(__name__)

# Seconds between an end and the next start.
PAUSE: Final = 1.0
# Seconds for kopf to end in its own order; then between two attempts to end what is left.
IN_ORDER: Final = 5.0
INSIST: Final = 0.5

# For kopf's own election, which is not ours. Without one it asks for the name of its user, and the
# user of an image has none.
IDENTITY: Final[Any] = "kiln-operator"

Tasks = set["asyncio.Task[Any]"]


async def watch(
    observed: Observed,
    enqueue: Callable[[ServiceKey], None],
    namespaces: Sequence[str],
    hear_signals: Callable[[], None],
) -> None:
    """Never return. ``hear_signals``: takes them back, which kopf takes."""
    clusterwide = not namespaces
    while True:
        roots: Collection[asyncio.Task[Any]] = ()
        with _remembered() as tasks:
            try:
                roots = await kopf.spawn_tasks(
                    registry=registry(observed, enqueue),
                    settings=settings(clusterwide=clusterwide),
                    standalone=True,
                    identity=IDENTITY,
                    clusterwide=clusterwide,
                    namespaces=namespaces,
                )
                hear_signals()
                await asyncio.wait(roots, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(roots, tasks)
        log.warning("watches_ended", reason=", ".join(sorted(map(str, _errors(roots)))))
        await asyncio.sleep(PAUSE)


async def _end(roots: Collection["asyncio.Task[Any]"], tasks: Tasks) -> None:
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


def _errors(tasks: Collection["asyncio.Task[Any]"]) -> Iterator[BaseException]:
    for each in tasks:
        if each.done() and not each.cancelled() and (error := each.exception()):
            yield error


_collection: ContextVar[Tasks | None] = ContextVar("collection", default=None)


@contextmanager
def _remembered() -> Iterator[Tasks]:
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
