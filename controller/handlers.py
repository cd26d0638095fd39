"""The wiring: kopf watches, and every event becomes a key in the queue. No logic.

Only ``on.event`` is used, which leaves no finalizer and no annotation on anything (and is not
retried, which it need not be: the queue is).
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import kopf

from .api import names
from .api.kinds import SERVICE, WATCHED, Kind
from .cluster import PAGE
from .forgetful import NoDifferences, NoProgress
from .observed import Observed, ServiceKey

# Between an object's event and the end of the task that waits for its next one.
IDLE_SECONDS: Final = 0.5
UNUSED_FINALIZER: Final = "kiln.dev/unused"
FIRST_PAUSES: Final = (0.5, 1.0, 2.0)
LONGEST_PAUSE: Final = 5.0


class Patience:
    """Seconds before each further attempt of a request, without an end: a watch that gives up is
    not begun again. The last one is short, because a watch that sleeps hears nothing.
    """

    def __iter__(self) -> Iterator[float]:
        yield from FIRST_PAUSES
        while True:
            yield LONGEST_PAUSE


def registry(observed: Observed, enqueue: Callable[[ServiceKey], None]) -> kopf.OperatorRegistry:
    """Watches for every kind."""
    made = kopf.OperatorRegistry()
    kopf.on.login(registry=made)(_login)
    for kind in WATCHED:
        _watch(made, kind, observed, enqueue)
    return made


def _login(**given: Any) -> kopf.ConnectionInfo | None:
    """Without the synchronous client, which would cost as much memory as all the rest."""
    return kopf.login_with_kubeconfig(**given) or kopf.login_with_service_account(**given)


def _watch(
    made: kopf.OperatorRegistry,
    kind: Kind,
    observed: Observed,
    enqueue: Callable[[ServiceKey], None],
) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=made, id=kind.plural)
    async def changed(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002
        act = observed.remove if type == "DELETED" else observed.put
        key = act(kind, dict(body))
        if key is not None:
            enqueue(key)


def settings() -> kopf.OperatorSettings:
    """What kopf must know."""
    made = kopf.OperatorSettings()
    made.posting.enabled = False
    made.peering.standalone = True
    made.persistence.diffbase_storage = NoDifferences()
    made.persistence.progress_storage = NoProgress()
    # kopf takes its finalizer off where no handler needs it. By its default name, that would be the
    # finalizer of another operator.
    made.persistence.finalizer = UNUSED_FINALIZER
    # It would look for new kinds when it hears of them, which may be before they are listed, and
    # needs rights in the cluster for it; watches.py knows better.
    made.scanning.disabled = True
    made.networking.request_timeout = 30
    made.networking.connect_timeout = 10
    made.networking.enforce_retry_after = True
    made.networking.error_backoffs = Patience()
    # It kills the process so long after kopf has ended; but kopf is started anew (see watches).
    made.process.ultimate_exiting_timeout = None
    made.watching.server_timeout = 300
    # Else all objects would be there at once, and a task for each, which no process gives back.
    made.watching.chunk_size = PAGE
    made.queueing.idle_timeout = IDLE_SECONDS
    for kind in WATCHED:
        if kind is not SERVICE:
            resource = (kind.group, kind.version, kind.plural)
            made.watching.label_selectors[resource] = names.SERVICE_LABEL
    return made
