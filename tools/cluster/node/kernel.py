"""Pods as the kernel knows them, without asking containerd, which may be gone: processes, mounts,
cgroups."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from ..errors import ClusterError
from .places import CGROUP, SOCKET
from .requirements import run

MOUNTS = Path("/proc/self/mountinfo")
SECONDS = 20.0
POLL_SECONDS = 0.05


def make_cgroups() -> None:
    """The parent of all pods', in every hierarchy."""
    for root in _hierarchies():
        (root / CGROUP).mkdir(exist_ok=True)


def end_pods() -> None:
    """Kill every process of the node's pods, and the shims that watch them.

    Raises:
        ClusterError: some of them do not end.
    """
    deadline = time.monotonic() + SECONDS
    # Shims first: they would take the end of a container for news.
    while living := [*_shims(), *_contained()]:
        if time.monotonic() > deadline:
            raise ClusterError(f"processes of pods do not end: {living}")
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def remove_cgroups() -> None:
    """Of pods that have ended."""
    deadline = time.monotonic() + SECONDS
    for root in _hierarchies():
        top = root / CGROUP
        while top.is_dir():
            for folder, _, _ in os.walk(top, topdown=False):
                # A process that has just ended keeps its cgroup a moment longer.
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
            if time.monotonic() > deadline:
                raise ClusterError(f"{top} cannot be removed")


def unmount(*folders: Path) -> None:
    """Everything that is mounted on or below ``folders``, the latest first."""
    below = tuple(f"{each}/" for each in folders)
    for place in reversed(mounts()):
        if f"{place}/".startswith(below):
            run("umount", "--lazy", place)


def mounts() -> list[str]:
    """Where something is mounted, in the order of mounting."""
    places = (line.split()[4] for line in MOUNTS.read_text().splitlines())
    return [each.encode().decode("unicode_escape") for each in places]


def _hierarchies() -> Iterator[Path]:
    """One with cgroups v2; one for each controller with v1."""
    for line in MOUNTS.read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] in ("cgroup", "cgroup2"):
            yield Path(before.split()[4])


def _contained() -> Iterator[int]:
    """Pids of all processes in the node's cgroups."""
    found: set[int] = set()
    for root in _hierarchies():
        for file in (root / CGROUP).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(each) for each in file.read_text().split())
    return iter(found)


def _shims() -> Iterator[int]:
    """Pids of containerd's shims, which outlive it."""
    for each in psutil.process_iter(["cmdline", "status"]):
        words = each.info["cmdline"] or []
        if str(SOCKET) in words and each.info["status"] != psutil.STATUS_ZOMBIE:
            yield each.pid
