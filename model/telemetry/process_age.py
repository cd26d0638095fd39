"""How long this process has run, from its exec on: what a start costs includes the imports."""

import os
import time
from pathlib import Path
from typing import Final

STAT: Final = Path("/proc/self/stat")
# In /proc/PID/stat, counted behind the command's closing bracket: ticks from boot to exec.
START_TICKS: Final = 19
IMPORTED: Final = time.monotonic()


def process_age() -> float:
    """Seconds since exec on Linux, to a hundredth; elsewhere since this module was imported."""
    try:
        fields = STAT.read_text().rpartition(")")[2].split()
        started = int(fields[START_TICKS]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - IMPORTED
