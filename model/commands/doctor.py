"""``python -m model doctor``: what may keep a server with these settings from starting, and how to
mend it. Reads no weights, and changes nothing but that it makes the folder for compiled code.
"""

import argparse
import contextlib
import importlib.util
import math
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..configuration.flags import add_flags
from ..contract.compilation import CompileMode
from ..contract.generation import GenerationRequest
from ..contract.roles import WORKERS, Role
from ..engine.caches import prepare_cache
from ..errors import KilnError
from ..settings import Settings
from .parser import Commands
from .settings import check_role, settings_of

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108
MIB: Final = 1024 * 1024
CHANNELS: Final = 3
LARGE_LIBRARY: Final = "diffusers"


@dataclass(frozen=True, slots=True)
class Finding:
    """``mend`` is empty where all is well."""

    what: str
    detail: str
    mend: str = ""

    def __str__(self) -> str:
        word = "problem" if self.mend else "ok"
        mend = f"\n{'':9} {'':14} mend: {self.mend}" if self.mend else ""
        return f"{word:9} {self.what:14} {self.detail}{mend}"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="check what a server needs, and say what to mend",
        usage="python -m model doctor [--model MODEL] [settings]",
        description="Check the model folder, the warmup plan, the device, shared memory, folders "
        "and ports for a server with these settings.",
        epilog="Exit status: 0 nothing to mend, 1 something is, 2 wrong settings. Next: python -m "
        "model serve, with the same settings.",
    )
    add_flags(parser)
    parser.set_defaults(run=run, parser=parser)


def run(given: argparse.Namespace) -> int:
    """Print every finding; the exit status."""
    resolved = settings_of(given)
    check_role(resolved, WORKERS | {Role.MONOLITHIC})
    problems = 0
    for check in CHECKS:
        for finding in check(resolved.settings):
            print(finding, flush=True)
            problems += bool(finding.mend)
    print(f"\n{problems or 'No'} problem{'' if problems == 1 else 's'} found.")
    return 1 if problems else 0


def check_model(settings: Settings) -> Iterator[Finding]:
    """The folder is there, complete, and of safetensors; a model of the hub is there."""
    from ..pipelines.location import HUB, locate

    on_the_hub = settings.model.startswith(HUB)
    try:
        folder = locate(settings.model, weights=not on_the_hub)
    except KilnError as error:
        yield Finding("model", str(error), "name another --model, or mend the folder")
        return
    where = "on the hub, downloaded by the start" if on_the_hub else str(folder.path)
    yield Finding("model", f"{folder.pipeline}, revision {folder.revision}, {where}")


def check_plan(settings: Settings) -> Iterator[Finding]:
    """The plan fits the model."""
    try:
        plan = _planned(settings)
    except KilnError as error:
        yield Finding("warmup plan", str(error), "change the setting that is named")
        return
    yield Finding("warmup plan", f"{len(plan)} shapes, first {plan[0].shape}")


def check_device(settings: Settings) -> Iterator[Finding]:
    """Torch sees it, and those of all engines and ranks."""
    from ..engine.placement import place
    from ..pipelines.loader import resolve_device

    try:
        device = resolve_device(settings.device)
        resolve_device(place(settings.device, settings.engines * settings.ranks - 1))
    except KilnError as error:
        yield Finding("device", str(error), "use --device auto or cpu, or give the pod a GPU")
        return
    cores = len(os.sched_getaffinity(0))
    detail = f"{device}, {cores} CPU cores"
    if settings.torch_threads > cores:
        mend = f"set --torch-threads to {cores}, or to 0"
        yield Finding("device", f"{settings.torch_threads} threads for {cores} cores", mend)
    else:
        yield Finding("device", detail)


def check_shared_memory(settings: Settings) -> Iterator[Finding]:
    """Pixels cross between the two processes there; a container has 64 MiB by itself."""
    needed = max(_planned_bytes(settings), settings.max_pixels * settings.max_images * CHANNELS)
    if not SHARED_MEMORY.is_dir():
        yield Finding("shared memory", f"there is no {SHARED_MEMORY}", f"mount {SHARED_MEMORY}")
        return
    free = shutil.disk_usage(SHARED_MEMORY).free
    detail = f"{free // MIB} MiB free; the largest request takes {needed // MIB} MiB"
    mend = (
        f"give {SHARED_MEMORY} {needed // MIB} MiB (in Kubernetes an emptyDir of medium Memory), "
        "or lower --max-pixels or --max-images"
    )
    yield Finding("shared memory", detail, "" if free >= needed else mend)


def check_folders(settings: Settings) -> Iterator[Finding]:
    """Those that the server writes to."""
    folders = {"temporary": Path(tempfile.gettempdir())}
    if settings.warmup_report_path is not None:
        folders["report"] = settings.warmup_report_path.parent
    for name, folder in folders.items():
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"kiln")
        except OSError as error:
            mend = f"make {folder} writable, or mount a volume with room there"
            yield Finding(f"{name} folder", f"{folder}: {error.strerror}", mend)
        else:
            yield Finding(f"{name} folder", f"{folder} can be written")


def check_compiler(settings: Settings) -> Iterator[Finding]:
    """What torch compiles with, where it shall compile."""
    if settings.compile is CompileMode.OFF:
        return
    compiler = os.environ.get("CXX", "g++")
    found = shutil.which(compiler)
    mend = f"install {compiler}, or name another compiler in CXX, or use --compile off"
    if found is None:
        yield Finding("C++ compiler", f"there is no {compiler}", mend)
    else:
        yield Finding("C++ compiler", found)
    headers = Path(sysconfig.get_path("include"), "Python.h")
    mend = "install Python's development files (python3-dev), or use --compile off"
    yield Finding("Python headers", str(headers), "" if headers.is_file() else mend)
    try:
        prepare_cache(settings.cache_dir)
    except KilnError as error:
        yield Finding("cache folder", str(error), "mount a volume there that this user may write")
    else:
        where = settings.cache_dir or "none: each start compiles anew; --cache-dir keeps it"
        yield Finding("cache folder", str(where))


def check_bytecode(_: Settings) -> Iterator[Finding]:
    """Without it every start reads the source of torch, diffusers and transformers anew, which
    takes longer than loading a small model.
    """
    spec = importlib.util.find_spec(LARGE_LIBRARY)
    if spec is None or spec.origin is None:
        yield Finding(
            "bytecode", f"{LARGE_LIBRARY} is not installed", "install kiln-diffusion[model]"
        )
        return
    compiled = Path(importlib.util.cache_from_source(spec.origin))
    if compiled.exists():
        yield Finding("bytecode", "the libraries' is kept")
    elif sys.dont_write_bytecode:
        mend = (
            f"unset PYTHONDONTWRITEBYTECODE, or run python -m compileall -q {compiled.parents[2]}"
        )
        yield Finding("bytecode", "none is there, and Python is told to keep none", mend)
    elif not os.access(compiled.parents[1], os.W_OK):
        mend = f"run python -m compileall -q {compiled.parents[2]} where that can be written"
        yield Finding("bytecode", f"none is there, and {compiled.parents[1]} takes none", mend)
    else:
        yield Finding("bytecode", "none is there yet; the first start keeps it")


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Nobody else has them."""
    from ..serving.http_server import bind

    try:
        bind(settings).close()
    except KilnError as error:
        yield Finding("ports", str(error), "stop who listens there, or choose another port")
        return
    grpc = f", gRPC {settings.grpc_port}" if settings.enable_grpc else ""
    yield Finding("ports", f"HTTP {settings.http_port}{grpc} can be opened on {settings.host}")


def _planned(settings: Settings) -> tuple[GenerationRequest, ...]:
    """Raises: KilnError: no model, or settings that do not fit it."""
    from ..pipelines.inspection import describe_folder
    from ..pipelines.location import locate
    from ..warmup.plan import build_plan

    return build_plan(describe_folder(locate(settings.model, weights=False)), settings)


def _planned_bytes(settings: Settings) -> int:
    """Of the pixels of the largest planned request; 0 where there is no plan, which is told apart.
    A video has many more than a picture."""
    with contextlib.suppress(KilnError):
        return max(math.prod(each.pixel_shape) for each in _planned(settings))
    return 0


CHECKS: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    check_model,
    check_plan,
    check_device,
    check_shared_memory,
    check_folders,
    check_compiler,
    check_bytecode,
    check_ports,
)
