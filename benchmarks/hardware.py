"""The machine and the versions that a number belongs to."""

import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from model import __version__

GIB: Final = 1024**3
PACKAGES: Final = ("torch", "diffusers", "kserve")
CPU_INFO: Final = Path("/proc/cpuinfo")
CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Hardware:
    """``cores``: those that this process may use. ``gpus``: as nvidia-smi names them."""

    cpu: str
    cores: int
    memory_gib: float
    gpus: tuple[str, ...]
    system: str
    versions: dict[str, str]

    def __str__(self) -> str:
        gpus = ", ".join(self.gpus) or "no GPU"
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_gib:.0f} GiB, {gpus}, {self.system}; "
            f"{versions}"
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def this_machine() -> Hardware:
    return Hardware(
        cpu=cpu_name(CPU_INFO.read_text() if CPU_INFO.exists() else ""),
        cores=usable_cores(CPU_QUOTA.read_text() if CPU_QUOTA.exists() else ""),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB,
        gpus=_gpus(),
        system=f"{platform.system()} {platform.machine()}",
        versions=_versions(),
    )


def cpu_name(cpu_info: str) -> str:
    """The model's name from Linux' ``/proc/cpuinfo``, or what Python knows elsewhere."""
    for line in cpu_info.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def usable_cores(cpu_quota: str) -> int:
    """The cores of this process' affinity mask, or fewer by the container's quota (``cpu.max``:
    ``max 100000`` or ``150000 100000``).
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota, _, period = cpu_quota.strip().partition(" ")
    if quota.isdigit() and period.isdigit():
        return max(1, min(cores, int(quota) // int(period)))
    return cores


def load_average() -> float:
    """Over the last minute. A run on a busy machine must say so."""
    return round(os.getloadavg()[0], 2)


def _gpus() -> tuple[str, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    done = subprocess.run(
        [program, "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return tuple(done.stdout.split("\n")[:-1]) if done.returncode == 0 else ()


def _commit() -> str:
    """Of the checkout; a number belongs to the code that was measured."""
    git = shutil.which("git")
    if git is None:
        return "commit unknown"
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.strip() or "commit unknown"


def _versions() -> dict[str, str]:
    found = {"kiln": f"{__version__} ({_commit()})", "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found
