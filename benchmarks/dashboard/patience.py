"""Wait for what must come, and not for ever."""

import time
from collections.abc import Callable
from typing import Final

from ..errors import NotMeasurable
from ..process import POLL_SECONDS

SECONDS: Final = 120.0


def until(condition: Callable[[], object], missing: str) -> None:
    """Return when it holds.

    Raises:
        NotMeasurable: it did not come to that.
    """
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise NotMeasurable(f"no {missing} after {SECONDS:.0f} seconds")
        time.sleep(POLL_SECONDS)
