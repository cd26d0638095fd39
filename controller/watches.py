"""Watch, and go on watching. kopf outlives what it expects of an API server: closed connections,
429, a version that is too old. By everything else (a 410 to a request, a watch that ends with
another error) one of its tasks ends, and it then waits for the others, which wait for it. So its
tasks are ended here, and it is started anew: it reads everything at its start, and the resync
finds what it does not tell.

It looks once, at its start, which kinds the cluster serves. That look may be too early: a kind can
be installed later, and an API server takes writes of a new kind before it lists it. Whoever talks
to the API server tells here which kinds answer, and watches that lack one of them are begun anew.
What is deleted between an end and the next start, no watch tells: ``begun_anew`` asks for a
comparison.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Any, Final

import kopf
from kopf._cogs.structs.references import Insights  # what spawn_tasks takes has no public name

from .api.kinds import WATCHED, Kind
from .cluster import ApiError
from .handlers import registry, settings
from .logs import get_logger
from .observed import Observed, ServiceKey
from .tasks import end, errors, remembered

log = get_logger(__name__)

# Seconds between an end and the next start: the first of these, and more after each run that was
# short, too. The last one is short, because who pauses hears nothing.
PAUSES: Final = (1.0, 2.0, 5.0)
SHORT: Final = 60.0
# Seconds between two questions to an API server that does not answer.
RETRY: Final = 5.0

# For kopf's own election, which is not ours. Without one it asks for the name of its user, and the
# user of an image has none.
IDENTITY: Final[Any] = "kiln-operator"


class Watches:
    """``serves``: whether the cluster knows a kind. ``hear_signals``: takes them back, which kopf
    takes. ``begun_anew`` is set with each start but the first.
    """

    def __init__(
        self,
        observed: Observed,
        enqueue: Callable[[ServiceKey], None],
        namespaces: Sequence[str],
        serves: Callable[[Kind], Awaitable[bool]],
        hear_signals: Callable[[], None],
    ) -> None:
        self._observed = observed
        self._enqueue = enqueue
        self._namespaces = namespaces
        self._serves = serves
        self._hear_signals = hear_signals
        self._needed = {each for each in WATCHED if not each.optional}
        self._told = asyncio.Event()
        self._first = True
        self.begun_anew = asyncio.Event()

    def answered(self, kind: Kind) -> None:
        """The cluster serves it: no watch may be without it."""
        if kind in WATCHED and kind not in self._needed:
            self._needed.add(kind)
            self._told.set()

    async def run(self) -> None:
        """Never return."""
        loop = asyncio.get_running_loop()
        pauses = iter(PAUSES)
        while True:
            begun = loop.time()
            reason = await self._run_once()
            log.warning("watches_ended", reason=reason)
            if loop.time() - begun > SHORT:
                pauses = iter(PAUSES)
            await asyncio.sleep(next(pauses, PAUSES[-1]))
            self._first = False

    async def _run_once(self) -> str:
        """Until they end; the reason."""
        insights = Insights()
        roots: Collection[asyncio.Task[Any]] = ()
        with remembered() as tasks:
            try:
                roots = await kopf.spawn_tasks(
                    registry=registry(self._observed, self._enqueue),
                    settings=settings(),
                    insights=insights,
                    standalone=True,
                    identity=IDENTITY,
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                )
                self._hear_signals()
                lacking = asyncio.create_task(self._lacking(insights))
                await asyncio.wait({*roots, lacking}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await end(roots, tasks)
        return ", ".join((*sorted(map(str, errors(roots))), *_lacks(lacking)))

    async def _lacking(self, insights: Insights) -> Kind:
        """A kind that these watches lack, as soon as there is one."""
        await insights.ready_resources.wait()
        if not self._first:
            self.begun_anew.set()
        begun = {(each.group, each.version, each.plural) for each in insights.watched_resources}
        while True:
            self._told.clear()
            for kind in list(self._needed):
                if (kind.group, kind.version, kind.plural) not in begun:
                    if not kind.optional or await self._still_serves(kind):
                        return kind
                    self._needed.discard(kind)
            await self._told.wait()

    async def _still_serves(self, kind: Kind) -> bool:
        """It may have been removed meanwhile, with the software that it belongs to."""
        while True:
            try:
                return await self._serves(kind)
            except ApiError as error:
                log.warning("asked_in_vain", reason=str(error))
                await asyncio.sleep(error.retry_after or RETRY)


def _lacks(lacking: "asyncio.Task[Kind]") -> Iterator[str]:
    if lacking.done() and not lacking.cancelled():
        yield f"they lack {lacking.result().name}, which the cluster serves"
