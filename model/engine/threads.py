"""How many CPU threads the engine may use. Imports torch: engine process only."""

import os
from pathlib import Path
from typing import Final

import torch

CGROUP_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def set_threads(threads: int, processes: int) -> None:
    """0: as many as the process may use, shared by ``processes``. torch counts the machine's cores,
    and a container with a smaller quota would then be throttled in the middle of every step."""
    torch.set_num_threads(threads or max(1, usable_cpus() // processes))


def usable_cpus(quota_file: Path = CGROUP_QUOTA) -> int:
    """The process' CPUs by affinity, or fewer where a cgroup (v2) quota says so; at least 1."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text().split()
        return cpus if quota == "max" else max(1, min(cpus, int(quota) // int(period)))
    except (OSError, ValueError):
        return cpus
