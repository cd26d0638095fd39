"""What breaks off may work a moment later: try again, with longer pauses, and then say so."""

from collections.abc import Callable
from typing import Final, TypeVar

from ..errors import SourceUnreachable
from ..telemetry.logs import get_logger
from .listing import BrokenOff

log = get_logger(__name__)
T = TypeVar("T")

# In a row, and without a single new byte in between.
MOST_FAILURES: Final = 6
# Seconds; doubled with each failure in a row.
FIRST_PAUSE: Final = 0.5


class Stopped(Exception):
    """Somebody told this work to stop. What has come stays."""


def patiently(
    work: Callable[[], T],
    what: str,
    wait: Callable[[float], bool],
    first_pause: float = FIRST_PAUSE,
    reached: Callable[[], int] = int,
    most: int = MOST_FAILURES,
) -> T:
    """What ``work`` returns. ``wait``: a pause; True ends it all. ``reached``: how many bytes have
    come: while it grows, there is no reason to give up.

    Raises:
        SourceUnreachable: it failed ``most`` times in a row.
        Stopped: by ``wait``.
    """
    failures = 0
    while True:
        before = reached()
        try:
            return work()
        except BrokenOff as error:
            failures = 1 if reached() > before else failures + 1
            if failures >= most:
                raise SourceUnreachable(
                    f"{what}: {error}, {failures} times in a row; check the network. What has come "
                    "is kept, and the next run goes on from there"
                ) from error
            log.warning("broke_off", what=what, reason=str(error), failures=failures)
        if wait(first_pause * 2 ** (failures - 1)):
            raise Stopped
