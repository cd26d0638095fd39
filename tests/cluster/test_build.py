"""A build is whole or not there, is done once, and says why it failed: with a real Go module."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.integration.support.server import wait_until
from tools.cluster import build as builds
from tools.cluster import families
from tools.cluster.errors import ClusterError, GoMissing
from tools.cluster.families import Family

HELLO = Family("hello", "kiln.dev/hello", minutes=0.1, assets=("words",))
GO_MOD = """\
module kiln.dev/tests

go 1.24

tool kiln.dev/hello

require kiln.dev/hello v0.1.0

replace kiln.dev/hello => ./hello
"""
WORKS = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n'
BUILD = """
import sys
from pathlib import Path
from tools.cluster import build, families
families.MODULES = Path(sys.argv[1])
build.build(families.Family("hello", "kiln.dev/hello", 0.1), Path(sys.argv[2]))
"""
BROKEN = "package main\n\nfunc main() { greet() }\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes the module with the given program; an empty cache for it."""
    try:
        builds.find_go()
    except GoMissing as missing:
        pytest.skip(str(missing))
    monkeypatch.setattr(families, "MODULES", tmp_path)

    def write(main: str) -> Path:
        program = tmp_path / "hello/hello"
        (program / "words").mkdir(parents=True)
        (program / "words/one.txt").write_text("hello")
        (program / "go.mod").write_text("module kiln.dev/hello\n\ngo 1.24\n")
        (program / "main.go").write_text(main)
        (tmp_path / "hello/go.mod").write_text(GO_MOD)
        (tmp_path / "hello/go.sum").touch()
        cache = tmp_path / "cache"
        cache.mkdir()
        return cache

    return write


def test_programs_and_their_assets_are_in_one_folder(module: Callable[[str], Path]) -> None:
    folder = builds.build(HELLO, module(WORKS))
    assert subprocess.check_output([folder / "hello"], text=True) == "hello\n"
    assert (folder / "words/one.txt").read_text() == "hello"


def test_two_builders_at_once_build_once(
    module: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    cache = module(WORKS)
    threads = [threading.Thread(target=builds.build, args=(HELLO, cache)) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert builds.built_folder(HELLO, cache).is_dir()
    assert capfd.readouterr().err.count("building hello") == 1


def test_what_a_killed_build_left_is_removed(module: Callable[[str], Path]) -> None:
    cache = module(WORKS)
    left = cache / f"{builds.built_folder(HELLO, cache).name}.building-x1/whole"
    left.mkdir(parents=True)
    (left / "hello").write_bytes(b"half")
    folder = builds.build(HELLO, cache)
    assert os.access(folder / "hello", os.X_OK)
    assert [each.name for each in cache.glob("*building*")] == []


def test_failed_build_shows_what_the_compiler_said_and_leaves_nothing(
    module: Callable[[str], Path],
) -> None:
    cache = module(BROKEN)
    with pytest.raises(
        ClusterError, match=r"could not build hello v0\.1\.0(?s:.*)undefined: greet"
    ):
        builds.build(HELLO, cache)
    assert not builds.built_folder(HELLO, cache).exists()
    assert [each.name for each in cache.glob("*building*")] == []


def test_interrupted_build_ends_its_compilers_and_leaves_nothing(
    module: Callable[[str], Path], tmp_path: Path
) -> None:
    cache = module(WORKS)
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(tmp_path), str(cache)],
        # With an empty cache Go compiles its own library first: time enough to interrupt it.
        env={**os.environ, "GOCACHE": str(tmp_path / "go-build")},
        stderr=subprocess.DEVNULL,
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    go = wait_until(lambda: _descendant(process.pid, "go"), "Go is at work", 60)
    try:
        wait_until(lambda: _descendant(go.pid, "compile"), "a compiler is at work", 60)
        process.send_signal(signal.SIGINT)
        process.wait(30)
        group = f"no process of the group {go.pid} is left"
        wait_until(lambda: not _group(go.pid), group, 5)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(go.pid, signal.SIGKILL)
    assert [each.name for each in cache.glob("*building*")] == []
    assert not builds.built_folder(HELLO, cache).exists()


def _descendant(pid: int, name: str) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in psutil.Process(pid).children(recursive=True):
            if each.name() == name:
                return each
    return None


def _group(leader: int) -> list[int]:
    """Living processes of one process group."""
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(each.pid) == leader and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each.pid)
    return found
