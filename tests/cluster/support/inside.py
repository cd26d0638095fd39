"""Processes inside of pods, as this machine sees them, since it is their node."""

from pathlib import Path

import psutil

from tests.cluster.support.kubectl import Object

# How multiprocessing starts the engine.
ENGINE = "spawn_main"


def processes(pod: Object) -> list[psutil.Process]:
    """Of all containers of a pod, by its cgroup."""
    name = f"pod{pod['metadata']['uid']}"
    found = []
    for each in psutil.process_iter():
        try:
            groups = Path(f"/proc/{each.pid}/cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name in groups:
            found.append(each)
    return found


def engine(pod: Object) -> psutil.Process:
    """The process that owns the device, of a pod whose server is Ready."""
    (found,) = [each for each in processes(pod) if _says(each, ENGINE)]
    return found


def program(pod: Object, *words: str) -> psutil.Process:
    """The first process whose command line has these words."""
    return next(each for each in processes(pod) if all(_says(each, word) for word in words))


def _says(process: psutil.Process, word: str) -> bool:
    return any(word in part for part in process.cmdline())
