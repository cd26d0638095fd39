"""Bring a cluster up and down: nothing of it stays, however its start ended."""

import shutil
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from . import record as records
from .build import build_all
from .credentials import write_credentials
from .errors import ClusterError
from .families import FAMILIES, NODE_FAMILIES
from .layout import Layout, free_ports
from .node import machine, requirements
from .places import cache_folder, locked, running_folder
from .processes import Running, identify, is_healthy, start, stop, wait_healthy
from .program import Program
from .programs import PROGRAMS
from .record import Record

DEFAULT_NAME = "default"


@dataclass(frozen=True, slots=True)
class Standing:
    """One program of a cluster as it is now."""

    program: Program
    pid: int | None
    healthy: bool


def default_folder() -> Path:
    """Of the one cluster that people have without giving a folder."""
    return running_folder() / DEFAULT_NAME


def up(
    folder: Path, owner: int | None = None, without: Collection[str] = (), *, node: bool = False
) -> Record:
    """Build what is missing, start every program but those left out, and wait until they work.

    With a ``node``, also until it would run a pod.

    Raises:
        ClusterError: it could not be built or started; nothing of it is left.
    """
    if node:
        requirements.check()
    built = build_all(FAMILIES | NODE_FAMILIES if node else FAMILIES)
    # One start at a time: two of them never pick the same ports.
    with locked(cache_folder() / "start.lock"):
        remove_abandoned()
        if records.read(folder):
            raise ClusterError(f"there is a cluster in {folder} already: end it first (down)")
        if folder.exists() and any(folder.iterdir()):
            raise ClusterError(f"{folder} is not empty, and a cluster's end removes its folder")
        layout = Layout(folder, free_ports(), built, node)
        record = Record(layout, owner=_owner(owner), without=tuple(without))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            records.write(record)
            write_credentials(layout)
            if node:
                machine.set_up(layout)
            for program in programs_of(record):
                record = start_program(record, program)
            if node:
                machine.wait_ready(layout)
        except BaseException:
            # Whatever it was, an interrupt included, goes on to the caller.
            _say("the start failed: ending what was started")
            down(folder)
            raise
    return record


def programs_of(record: Record) -> list[Program]:
    """Those that the cluster was brought up with, in the order of their start."""
    return [
        program
        for program in PROGRAMS
        if program.name not in record.without and (record.layout.node or not program.node)
    ]


def down(folder: Path) -> bool:
    """End the cluster in ``folder`` and remove it; whether there was one."""
    record = records.read(folder)
    if record is None:
        return False
    stop(reversed(record.processes.values()))
    if record.layout.node:
        machine.remove(folder)
    shutil.rmtree(folder)
    return True


def start_program(record: Record, program: Program) -> Record:
    """Start one program of a cluster, also again, and wait until it works."""
    layout = record.layout
    if program.prepare and program.name not in record.processes:
        program.prepare(layout)
    _say(f"starting {program.name}")
    running = start(program, layout)
    record = record.with_process(program.name, running)
    try:
        records.write(record)
    except BaseException:
        # Nobody else knows of it, so nobody else could end it.
        stop([running])
        raise
    wait_healthy(program, layout, running)
    return record


def stop_program(record: Record, program: Program) -> None:
    """End one program of a cluster; its place in the record stays."""
    if running := record.processes.get(program.name):
        stop([running])


def standings(record: Record) -> Iterator[Standing]:
    """Every program that a cluster should have, and how it does."""
    for program in programs_of(record):
        running: Running | None = record.processes.get(program.name)
        alive = running is not None and running.alive
        yield Standing(
            program,
            running.pid if running and alive else None,
            alive and is_healthy(program, record.layout),
        )


def remove_abandoned() -> None:
    """End clusters whose owner was killed before it could end them."""
    for folder in running_folder().iterdir():
        record = records.read(folder)
        if record and record.abandoned:
            down(folder)


def _owner(pid: int | None) -> Running | None:
    if pid is None:
        return None
    try:
        return identify(pid)
    except psutil.NoSuchProcess as error:
        raise ClusterError(f"--owner {pid}: there is no such process") from error


def _say(what: str) -> None:
    print(f"cluster: {what}", file=sys.stderr, flush=True)
