"""However a cluster ends, nothing of it stays: no process, no folder."""

import contextlib
import functools
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.support import up
from tests.cluster.support.kubectl import Kubectl
from tests.integration.support.server import wait_until
from tools.cluster import kubectl as built_kubectl
from tools.cluster import record as records
from tools.cluster.processes import identify
from tools.cluster.programs import API_SERVER, ETCD, KSERVE_MANAGER

pytestmark = pytest.mark.usefixtures("programs")

SECONDS = 60


@contextlib.contextmanager
def starting(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A cluster on its way up; it is at the start of its API server."""
    process = subprocess.Popen(
        up.command("up", "--folder", str(folder)),
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background ignores interrupts, and children inherit that.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_until(lambda: _pid(folder, API_SERVER.name), "the API server is started", SECONDS)
        yield process
    finally:
        process.kill()
        process.wait()
        up.run("down", "--folder", str(folder))


@pytest.mark.parametrize(
    ("first", "second"), [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)]
)
def test_interrupted_start_leaves_nothing_even_when_interrupted_again(
    tmp_path: Path, first: signal.Signals, second: signal.Signals
) -> None:
    folder = tmp_path / "cluster"
    with starting(folder) as process:
        server = identify(_pid(folder, API_SERVER.name))
        process.send_signal(first)
        wait_until(lambda: not server.alive, "the API server has ended", SECONDS)
        process.send_signal(second)
        _, said = process.communicate(timeout=SECONDS)
        assert process.returncode == 130
        assert "ending what was started" in said
        assert not up.processes_of(folder)
        assert not folder.exists()


def test_failed_start_leaves_nothing_and_shows_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    with starting(folder) as process:
        # Without its store the API server gives up; so does ours, which is quicker.
        for name in (ETCD.name, API_SERVER.name):
            psutil.Process(_pid(folder, name)).kill()
        _, said = process.communicate(timeout=SECONDS)
        assert process.returncode == 1
        assert f"{API_SERVER.name} ended at its start" in said
        assert f"{API_SERVER.name}.log ends in:" in said
        assert not up.processes_of(folder)
        assert not folder.exists()


def test_cluster_without_kserve_knows_nothing_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    place = ("--folder", str(folder))
    try:
        up.printed("up", *place, "--without", KSERVE_MANAGER.name)
        assert up.printed("status", *place).count(" healthy") == 3
        record = records.read(folder)
        assert record
        assert "kserve" not in built_kubectl.run(record.layout, "api-resources")
    finally:
        up.printed("down", *place)
    assert not up.processes_of(folder)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")
    result = up.run("up", "--folder", str(tmp_path))
    up.run("down", "--folder", str(tmp_path))
    assert result.returncode == 1
    assert f"{tmp_path} is not empty" in result.stderr
    assert thesis.exists()


def test_an_owner_that_is_not_there_is_refused(tmp_path: Path) -> None:
    # The largest pid that the system may give is smaller.
    result = up.run("up", "--folder", str(tmp_path / "cluster"), "--owner", str(2**30))
    assert result.returncode == 1
    assert f"--owner {2**30}: there is no such process" in result.stderr
    assert not (tmp_path / "cluster").exists()


def test_status_tells_which_program_ended_and_it_starts_again(
    our_cluster: Path, kserve: None, kubectl: Kubectl
) -> None:
    place = ("--folder", str(our_cluster))
    assert up.printed("status", *place).count(" healthy") == 4

    up.printed("stop", KSERVE_MANAGER.name, *place)
    result = up.run("status", *place)
    assert result.returncode == 1
    (line,) = [each for each in result.stdout.splitlines() if KSERVE_MANAGER.name in each]
    assert line.endswith("ended")

    up.printed("start", KSERVE_MANAGER.name, *place)
    up.printed("status", *place)


def test_up_beside_a_running_cluster_only_says_how_to_use_it(our_cluster: Path) -> None:
    before = records.read(our_cluster)
    printed = up.printed("up", "--folder", str(our_cluster))
    assert f"export KUBECONFIG={our_cluster}/admin.kubeconfig" in printed
    assert records.read(our_cluster) == before


def test_a_cluster_without_a_node_says_so_to_whoever_needs_one(
    our_cluster: Path, tmp_path: Path
) -> None:
    place = ("--folder", str(our_cluster))
    for command in (("up", "--node"), ("load", str(tmp_path / "image.tar"))):
        refused = up.run(*command, *place)
        assert refused.returncode == 1
        assert "no node" in refused.stderr
        assert "up --node" in refused.stderr


def _pid(folder: Path, name: str) -> int:
    """0 until the program is started."""
    record = records.read(folder)
    running = record.processes.get(name) if record else None
    return running.pid if running else 0
