"""Videos that outlive the request for them: taken once the server is Ready, drawn in turn, and
found again by a server that comes after it.
"""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ..contract.generation import GenerationRequest
from ..contract.watching import Watch
from ..errors import (
    Cancelled,
    EngineLost,
    JobsElsewhere,
    JobUnfinished,
    KilnError,
    NoReplica,
    NotReady,
    QueueFull,
    UnknownJob,
)
from ..jobs.job import Job, Limits, Status
from ..jobs.store import Held, JobStore
from ..media.encode import VIDEO
from ..telemetry.logs import get_logger
from .context import Serving
from .drawing import draw

log = get_logger(__name__)

# Between two looks at the clock, and at a folder that another server has.
SWEEP_SECONDS: Final = 1.0
INPUT: Final = "input"
THUMBNAIL: Final = "webp"
MOST_PERCENT: Final = 99

# From a job, and its input, to what is drawn.
Prepare = Callable[[Job, bytes | None], Awaitable[GenerationRequest]]


@dataclass(slots=True)
class _Running:
    """``deleted``: it is stopped for good."""

    work: asyncio.Task[None]
    deleted: bool = False


class VideoJobs:
    """All methods belong to the event loop's thread. ``run`` must be running as a task."""

    def __init__(self, serving: Serving, prepare: Prepare) -> None:
        self._serving = serving
        self._prepare = prepare
        settings = serving.settings
        self._limits = Limits(settings.max_jobs, settings.max_jobs_per_user)
        self._lasts = settings.jobs_ttl
        self._store: JobStore | None = None
        self._opening = asyncio.Lock()
        self._running: dict[str, _Running] = {}
        self._wake = asyncio.Event()
        self._closing = False
        serving.state.listen(lambda _: self._wake.set())

    @property
    def durable(self) -> bool:
        return self._serving.settings.jobs_dir is not None

    @property
    def _any(self) -> bool:
        """Whether there may be jobs: a folder of the server's own is made for the first one."""
        return self._store is not None or self.durable

    async def run(self) -> None:
        """Draw what waits, and forget what is old, until cancelled.

        Raises:
            InvalidSettings: the folder cannot be used.
        """
        while not self._closing:
            if self._any:
                await self._look()
            self._wake.clear()
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def add(self, job: Job, reference: bytes | None) -> Job:
        """Take it in, for good.

        Raises:
            QuotaExceeded, IdempotencyConflict: as ``JobTable.add``.
            JobsElsewhere: another server has the folder.
        """
        store = await self._opened()
        if reference is not None:
            await store.write(job.id, INPUT, reference)
        try:
            taken = await store.call(store.table.add, job, self._limits)
        except KilnError:
            await store.forget(job.id)
            raise
        if taken.id != job.id:
            await store.forget(job.id)
        self._wake.set()
        return taken

    async def get(self, id_: str, owner: str) -> Job:
        """Raises:
        UnknownJob: nobody's, or somebody else's.
        """
        job = None
        if self._any:
            store = await self._opened()
            job = await store.call(store.table.get, id_)
        if job is None or job.owner != owner:
            raise UnknownJob(f"there is no video {id_[:100]!r}, or none of yours")
        return job

    async def page(
        self, owner: str, after: str | None, limit: int, newest_first: bool
    ) -> tuple[list[Job], bool]:
        """The jobs, and whether there are more.

        Raises:
            UnknownJob: ``after`` is none of the owner's.
        """
        if after is not None:
            await self.get(after, owner)
        if not self._any:
            return [], False
        store = await self._opened()
        found = await store.call(store.table.page, owner, after, limit + 1, newest_first)
        return found[:limit], len(found) > limit

    async def content(self, id_: str, owner: str, kind: str) -> bytes:
        """The video, or its thumbnail.

        Raises:
            UnknownJob: as ``get``.
            JobUnfinished: it has none.
        """
        job = await self.get(id_, owner)
        if job.status is Status.FAILED:
            raise JobUnfinished(f"the video failed: {job.problem}")
        if job.unfinished:
            raise JobUnfinished(f"the video is {job.status}, {job.progress} % done")
        store = await self._opened()
        try:
            return await store.read(id_, kind)
        except FileNotFoundError:
            raise UnknownJob(f"the video {id_[:100]!r} has just been deleted") from None

    async def delete(self, id_: str, owner: str) -> None:
        """Stop it at its next step, where it runs, and forget it.

        Raises:
            UnknownJob: as ``get``.
        """
        await self.get(id_, owner)
        store = await self._opened()
        await store.call(store.table.remove, id_)
        running = self._running.get(id_)
        if running is not None:
            running.deleted = True
            running.work.cancel()
            await asyncio.wait({running.work})
        await store.forget(id_)

    async def drain(self) -> None:
        """Begin nothing more, and let what runs end."""
        self._closing = True
        self._wake.set()
        if self._running:
            await asyncio.wait({each.work for each in self._running.values()})

    async def close(self) -> None:
        """Stop what runs: the next server goes on with it."""
        self._closing = True
        for each in self._running.values():
            each.work.cancel()
        await self.drain()
        if self._store is not None:
            await self._store.close()
            self._store = None

    # -- inside ---------------------------------------------------------------------------------

    async def _opened(self) -> JobStore:
        async with self._opening:
            if self._store is not None:
                return self._store
            if self._closing:
                raise JobsElsewhere("the server is ending")
            store = JobStore(self._serving.settings.jobs_dir)
            try:
                await store.acquire()
            except Held:
                raise JobsElsewhere(
                    "another server has the folder of the jobs; try again once it has ended"
                ) from None
            again, failed = await store.call(store.table.recover, time.time(), self._lasts)
            if again or failed:
                log.warning("jobs_recovered", again=again, failed=failed)
            self._store = store
            return store

    async def _look(self) -> None:
        try:
            store = await self._opened()
        except JobsElsewhere:
            return
        for old in await store.call(store.table.expired, time.time()):
            await store.forget(old)
        while self._serving.state.ready and not self._closing:
            if len(self._running) >= self._serving.settings.engines:
                return
            job = await store.call(store.table.claim)
            if job is None:
                return
            work = asyncio.create_task(self._work(store, job))
            self._running[job.id] = _Running(work)
            work.add_done_callback(functools.partial(self._ended, job.id))

    def _ended(self, id_: str, work: asyncio.Task[None]) -> None:
        del self._running[id_]
        if not work.cancelled() and (error := work.exception()) is not None:
            log.error("job_lost", id=id_, exc_info=error)
        self._wake.set()

    async def _work(self, store: JobStore, job: Job) -> None:
        """To its end, whatever that is."""
        started = time.monotonic()
        try:
            # It may have been deleted in the moment in which its turn came.
            if await store.call(store.table.get, job.id) is None:
                return
            await self._draw(store, job)
            await store.call(store.table.complete, job.id, time.time(), self._lasts)
        except asyncio.CancelledError:
            # A failing server breaks off what runs, which may be why it fails: that counts.
            if self._serving.state.live and not self._running[job.id].deleted:
                await store.call(store.table.give_back, job.id)
            raise
        except EngineLost as error:
            if self._serving.state.live:  # a router, which goes on
                await self._fail(store, job, error.openai_code, str(error))
            return
        except (QueueFull, NotReady, NoReplica, Cancelled) as error:
            await store.call(store.table.give_back, job.id)
            await asyncio.sleep(error.retry_after or SWEEP_SECONDS)
            return
        except KilnError as error:
            await self._fail(store, job, error.openai_code, str(error))
        except OSError as error:
            log.error("video_failed", id=job.id, exc_info=error)
            await self._fail(store, job, "no_room", f"it could not be kept: {error.strerror}")
        # The process boundary: whatever it was is told to who asked.
        except Exception as error:
            log.error("video_failed", id=job.id, exc_info=error)
            message = "internal error; the server's log has it"
            await self._fail(store, job, KilnError.openai_code, message)
        log.info("video_ended", id=job.id, seconds=round(time.monotonic() - started, 3))

    async def _fail(self, store: JobStore, job: Job, code: str, problem: str) -> None:
        await store.call(store.table.fail, job.id, time.time(), self._lasts, code, problem)

    async def _draw(self, store: JobStore, job: Job) -> None:
        has_input = store.path(job.id, INPUT).exists()
        reference = await store.read(job.id, INPUT) if has_input else None
        wanted = await self._prepare(job, reference)
        watch = Watch(on_step=functools.partial(self._advance, store, job.id))
        drawn = await draw(self._serving, wanted, VIDEO, watch=watch)
        assert drawn.files is not None
        first = drawn.generation.pixels[:, 0]
        (thumbnail,) = await self._serving.pool.encode_all(first, THUMBNAIL, [{}])
        await store.write(job.id, THUMBNAIL, thumbnail)
        await store.write(job.id, VIDEO, drawn.files[0])

    def _advance(self, store: JobStore, id_: str, step: int, of: int) -> None:
        percent = min(100 * step // of, MOST_PERCENT)
        # In the store's one thread, and so in order; before whatever ends the job.
        store.soon(store.table.advance, id_, percent)
