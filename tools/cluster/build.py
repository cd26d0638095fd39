"""Build a family's programs once into the user's cache.

A build lies beside its place until it is whole, and is then renamed: nobody ever sees half of one,
and a killed build costs the next only its time (Go's own cache keeps the parts). Two builders at
once: the second waits, and finds the work done.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import ClusterError, GoMissing
from .families import BUILD_ENVIRONMENT, FAMILIES, Family, content_hash, link_flags, version
from .places import cache_folder, locked

# Where Go's own installers put it, which not every shell has in its PATH.
GO_PLACES = ("/usr/local/go/bin/go", "/opt/homebrew/bin/go", "/usr/lib/go/bin/go")
LOG_LINES = 15

GO_MISSING = (
    "no Go here to build the test cluster's programs with (looked in PATH, {places}): install Go "
    "1.26 or newer from https://go.dev/doc/install, or set KUBECONFIG to a cluster that the tests "
    "may fill"
)


def built_folder(family: Family, cache: Path) -> Path:
    """Where the family's programs lie once they are built."""
    return cache / f"{family.name}-{content_hash(family)}"


def unbuilt(families: Mapping[str, Family] = FAMILIES) -> list[str]:
    """Names of the families that are not in the cache."""
    cache = cache_folder()
    return [name for name, each in families.items() if not built_folder(each, cache).is_dir()]


def build_all(families: Mapping[str, Family] = FAMILIES) -> dict[str, Path]:
    """Every family's folder of programs, built where it is missing.

    Raises:
        GoMissing: something has to be built, and there is no Go.
        ClusterError: a build failed; the message has the end of its log.
    """
    cache = cache_folder()
    return {name: build(each, cache) for name, each in families.items()}


def build(family: Family, cache: Path) -> Path:
    """The folder of the family's programs, which is built if it is not in ``cache``."""
    folder = built_folder(family, cache)
    if folder.is_dir():
        return folder
    go = find_go()
    with locked(cache / f"{folder.name}.lock"):
        if folder.is_dir():
            return folder
        beside = f"{folder.name}.building-"
        for left_by_a_killed_build in cache.glob(f"{beside}*"):
            shutil.rmtree(left_by_a_killed_build)
        with tempfile.TemporaryDirectory(prefix=beside, dir=cache) as temporary:
            whole = Path(temporary) / "whole"
            whole.mkdir()
            _compile(go, family, whole, cache / f"{family.name}.log")
            _copy_assets(go, family, whole)
            whole.rename(folder)
    return folder


def find_go() -> Path:
    """The go command.

    Raises:
        GoMissing: it is in no place that we know.
    """
    found = shutil.which("go") or next(filter(os.path.exists, GO_PLACES), None)
    if found is None:
        raise GoMissing(GO_MISSING.format(places=", ".join(GO_PLACES)))
    return Path(found)


def _compile(go: Path, family: Family, into: Path, log: Path) -> None:
    print(
        f"cluster: building {family.name} {version(family)}: about {family.minutes:g} min on two"
        f" cores, once; log: {log}",
        file=sys.stderr,
        flush=True,
    )
    # At the lowest priority: it takes minutes, and somebody works on this machine.
    command = ["nice", "-n", "19", str(go), "build", "-ldflags", link_flags(family)]
    with log.open("wb") as output:
        status = _run_to_its_end(
            [*command, "-o", f"{into}/", "tool"],
            cwd=family.source,
            env={**os.environ, **BUILD_ENVIRONMENT},
            output=output.fileno(),
        )
    if status:
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        raise ClusterError(
            f"could not build {family.name} {version(family)} with {go} (status {status}); "
            f"{log} ends in:\n" + "\n".join(lines)
        )


def _run_to_its_end(command: list[str], *, cwd: Path, env: Mapping[str, str], output: int) -> int:
    """The exit status. An interruption ends the compilers that Go started, too."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with _ended(process):
        return process.wait()


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _copy_assets(go: Path, family: Family, into: Path) -> None:
    """What the module has beside its programs, as it is."""
    if not family.assets:
        return
    module = _module_folder(go, family)
    for asset in family.assets:
        # Go keeps its modules read-only, which would hinder their removal here.
        shutil.copytree(module / asset, into / asset, copy_function=shutil.copyfile)
        for folder in (into / asset, *(into / asset).rglob("*/")):
            folder.chmod(0o755)


def _module_folder(go: Path, family: Family) -> Path:
    listed = subprocess.run(
        [str(go), "list", "-m", "-json", family.module],
        cwd=family.source,
        env={**os.environ, **BUILD_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise ClusterError(f"go list -m {family.module} failed: {listed.stderr.strip()}")
    return Path(json.loads(listed.stdout)["Dir"])
