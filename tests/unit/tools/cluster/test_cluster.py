"""What is written down about a cluster is enough for another process to end it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tools.cluster import cluster, places
from tools.cluster import record as records
from tools.cluster.layout import Layout, free_ports
from tools.cluster.processes import Running, identify
from tools.cluster.record import Record

GONE = Running(pid=1, started=0.0)


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def record(waiting: subprocess.Popen[bytes]) -> Record:
    """Of a cluster with one process."""
    folder = places.running_folder() / "one"
    folder.mkdir()
    layout = Layout(folder, free_ports(), {"etcd": Path("/somewhere")})
    found = Record(layout).with_process("etcd", identify(waiting.pid))
    records.write(found)
    return found


def test_record_is_read_as_it_was_written(record: Record) -> None:
    assert records.read(record.layout.folder) == record
    owned = replace(record, owner=GONE, without=("kserve-manager",))
    records.write(owned)
    assert records.read(record.layout.folder) == owned


def test_no_cluster_has_no_record(tmp_path: Path) -> None:
    assert records.read(tmp_path) is None
    assert not cluster.down(tmp_path)


def test_down_ends_the_processes_and_removes_the_folder(
    record: Record, waiting: subprocess.Popen[bytes]
) -> None:
    assert cluster.down(record.layout.folder)
    assert waiting.wait(10) != 0
    assert not record.layout.folder.exists()


def test_cluster_whose_owner_is_gone_is_removed(
    record: Record, waiting: subprocess.Popen[bytes]
) -> None:
    records.write(replace(record, owner=GONE))
    cluster.remove_abandoned()
    assert waiting.wait(10) != 0
    assert not record.layout.folder.exists()


@pytest.mark.parametrize("owned", [False, True])
def test_cluster_that_somebody_wants_stays(
    record: Record, waiting: subprocess.Popen[bytes], *, owned: bool
) -> None:
    owner = identify(waiting.pid) if owned else None
    records.write(replace(record, owner=owner))
    cluster.remove_abandoned()
    assert waiting.poll() is None
    assert record.layout.folder.exists()


def test_folders_of_the_cache_are_for_their_user_only() -> None:
    assert places.running_folder().stat().st_mode & 0o077 == 0
    assert places.cache_folder().stat().st_mode & 0o077 == 0
