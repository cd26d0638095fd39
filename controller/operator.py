"""The process: wait for the lease, read the cluster, then watch and reconcile until told to
stop.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Coroutine
from typing import Any, Final

from aiohttp import web

from .cluster import ApiError, Cluster, connected
from .election import Election
from .errors import ControllerError
from .health import Vital, application
from .inquiry import Inquiry
from .logs import configure_logs, get_logger
from .metrics import Metrics
from .observed import Observed, ServiceKey
from .reconciler import Reconciler
from .resync import GRACE_SECONDS, Resync
from .settings import Settings, identity
from .watches import Watches
from .work_queue import WorkQueue

log = get_logger(__name__)

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class LeadershipLost(ControllerError):
    """Another one may lead by now: this process must not go on."""

    exit_code = 4


async def operate(given: Settings) -> int:
    """Run the operator; return the exit status.

    Raises:
        ControllerError: why it ended, other than by a signal.
    """
    configure_logs(given.log_level, given.log_format)
    if given.kubeconfig is not None:
        os.environ["KUBECONFIG"] = given.kubeconfig  # the only way to tell kopf
    async with connected(given.kubeconfig) as cluster:
        operator = Operator(given, cluster)
        return await operator.run()


class Operator:
    """Everything that one process holds."""

    def __init__(self, given: Settings, cluster: Cluster) -> None:
        self.given = given
        self.cluster = cluster
        self.metrics = Metrics()
        self.observed = Observed()
        self.vital = Vital(given.resync)
        self.queue: WorkQueue[ServiceKey] = WorkQueue(self.metrics.queue_seconds.observe)
        self.inquiry = Inquiry(self.queue.add)
        self.reconciler = Reconciler(
            cluster, self.observed, self.metrics, given.image, self.inquiry, given.own_namespace
        )
        self.resync = Resync(cluster, self.observed, self.metrics, given.namespaces, self.queue.add)
        self.watches = Watches(
            self.observed, self.queue.add, given.namespaces, cluster.serves, self._hear_signals
        )
        cluster.answered = self.watches.answered
        self.election = Election(cluster, given.lease_namespace, given.lease_name, identity())
        self.stop = asyncio.Event()
        if given.leader_elect:
            cluster.may_write = self.election.holds

    async def run(self) -> int:
        self._hear_signals()
        app = application(self.vital, self.metrics, self.observed, lambda: len(self.queue))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await self._listen(runner)
            await self._until_stopped(self._lead())
        except ExceptionGroup as group:
            raise _reason(group) from group
        finally:
            await self.election.resign()
            await runner.cleanup()
        log.info("stopped")
        return 0

    def _hear_signals(self) -> None:
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self.stop.set)

    async def _listen(self, runner: web.AppRunner) -> None:
        site = web.TCPSite(runner, self.given.host, self.given.port)
        try:
            await site.start()
        except OSError as error:
            raise ControllerError(
                f"port {self.given.port} cannot be opened: {error.strerror}; choose another with "
                "--port"
            ) from error
        log.info("listening", port=runner.addresses[0][1])

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` until it ends or a signal comes; nothing is left running."""
        working = asyncio.ensure_future(work)
        waiting = asyncio.ensure_future(self.stop.wait())
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not working.done():
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
            return
        working.result()

    async def _lead(self) -> None:
        if self.given.leader_elect:
            await self.election.win()
        self.vital.led()
        async with asyncio.TaskGroup() as group:
            if self.given.leader_elect:
                group.create_task(self._keep_lease())
            group.create_task(self._watch_and_work())

    async def _keep_lease(self) -> None:
        await self.election.keep()
        raise LeadershipLost(
            "the lease could not be renewed in time; another operator may lead now"
        )

    async def _watch_and_work(self) -> None:
        await self._read_cluster()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.watches.run())
            group.create_task(self.inquiry.run())
            group.create_task(self._compare_again_and_again())
            for _ in range(self.given.workers):
                group.create_task(self._work())

    async def _read_cluster(self) -> None:
        """Before anything is done, so that nothing is made anew that exists."""
        await self.resync.load()
        self.vital.compared(missed=0)
        for key in self.observed.services:
            self.queue.add(key)
        log.info("cluster_read", services=len(self.observed.services))

    async def _compare_again_and_again(self) -> None:
        while True:
            anew = await self._until_comparison()
            try:
                missed = await self.resync.compare()
            except ApiError as error:
                log.warning("not_compared", reason=str(error))
                continue
            # What is missed while there are no watches says nothing of those that there are.
            self.vital.compared(missed=0 if anew else missed)
            for key in list(self.observed.services):
                self.queue.add(key)

    async def _until_comparison(self) -> bool:
        """Whether it comes early: watches were begun anew, and have read what there is by now."""
        try:
            async with asyncio.timeout(self.given.resync):
                await self.watches.begun_anew.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(GRACE_SECONDS)
        self.watches.begun_anew.clear()
        return True

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            await self._reconcile(key)

    async def _reconcile(self, key: ServiceKey) -> None:
        started = time.monotonic()
        result, again = "failed", None
        try:
            result = await self.reconciler.reconcile(key)
        except ApiError as error:
            again = error.retry_after
            log.warning("reconcile_failed", service=str(key), reason=str(error))
        except Exception:  # the boundary of one service: the others go on
            log.exception("reconcile_crashed", service=str(key))
        finally:
            self.queue.done(key, failed=result == "failed", again=again)
            self.metrics.reconciles.labels(result).inc()
            self.metrics.reconcile_seconds.observe(time.monotonic() - started)


def _reason(group: ExceptionGroup[Any]) -> Exception:
    """The first failure of several tasks: the others were broken off because of it."""
    first: Exception = group.exceptions[0]
    return _reason(first) if isinstance(first, ExceptionGroup) else first
