"""How much of the machine others used during a measurement: what a load average cannot tell apart
from the measurement itself.
"""

import os
import resource
import time
from pathlib import Path
from typing import Final

PROC_STAT: Final = Path("/proc/stat")
# Of a core. More than this, and the numbers are worth little.
DISTURBING: Final = 0.2


class Neighbours:
    """Counts from its making. Processes of ours count once they ended and were waited for."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._ours = _our_seconds()
        self._all = _all_seconds()

    def cores(self) -> float | None:
        """The cores that others kept busy on average; None where nobody says (not Linux)."""
        all_now = _all_seconds()
        if self._all is None or all_now is None:
            return None
        others = (all_now - self._all) - (_our_seconds() - self._ours)
        return round(max(0.0, others / (time.monotonic() - self._started)), 2)


def busy_ticks(proc_stat: str) -> int:
    """Of all cores, in clock ticks: user, nice, system, irq and softirq. Not idle, not waiting."""
    user, nice, system, _, _, irq, softirq = map(int, proc_stat.split("\n", 1)[0].split()[1:8])
    return user + nice + system + irq + softirq


def _all_seconds() -> float | None:
    if not PROC_STAT.exists():
        return None
    return busy_ticks(PROC_STAT.read_text()) / os.sysconf("SC_CLK_TCK")


def _our_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
