"""Real processes are started, watched and ended, and a wrong pid is never one of them."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.integration.support.server import wait_until
from tools.cluster.errors import ClusterError
from tools.cluster.layout import Layout
from tools.cluster.processes import (
    Running,
    identify,
    is_healthy,
    start,
    stop,
    wait_healthy,
)
from tools.cluster.program import Program

WEB_SERVER = """
import http.server, os, sys
print(os.environ["NAME"], flush=True)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/works" else 500)
        self.end_headers()
port = int(sys.argv[1].partition("=")[2])
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
ENDS = "import sys; print('no such thing'); sys.exit(3)"
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


def program(layout: Layout, text: str) -> Program:
    """A program that runs ``text``, among the built ones of KServe."""
    folder = layout.built["kserve"]
    folder.mkdir()
    file = folder / "program"
    file.write_text(f"#!{sys.executable}\n{text}")
    file.chmod(0o755)
    return Program(
        name="program",
        family="kserve",
        binary="program",
        flags={"port": "{kserve_health}"},
        environment={"NAME": "in {folder}"},
        health="http://{host}:{kserve_health}/works",
    )


@pytest.fixture
def started() -> Iterator[list[Running]]:
    """What a test has started, ended with it."""
    processes: list[Running] = []
    yield processes
    stop(processes)


def test_program_is_healthy_when_its_check_answers_200(
    layout: Layout, started: list[Running]
) -> None:
    works = program(layout, WEB_SERVER)
    assert not is_healthy(works, layout)
    started.append(start(works, layout))
    wait_healthy(works, layout, started[0])
    assert not is_healthy(replace(works, health="http://{host}:{kserve_health}/other"), layout)


def test_program_gets_its_environment_and_its_log(layout: Layout, started: list[Running]) -> None:
    works = program(layout, WEB_SERVER)
    started.append(start(works, layout))
    wait_healthy(works, layout, started[0])
    assert layout.file("program.log").read_text().startswith(f"in {layout.folder}\n")


def test_program_that_ends_shows_the_end_of_its_log(layout: Layout) -> None:
    ends = program(layout, ENDS)
    with pytest.raises(ClusterError, match=r"program ended at its start(?s:.*)no such thing"):
        wait_healthy(ends, layout, start(ends, layout))


def test_program_that_is_never_healthy_is_given_up(layout: Layout, started: list[Running]) -> None:
    deaf = program(layout, DEAF)
    started.append(start(deaf, layout))
    with pytest.raises(ClusterError, match=r"program was not healthy after 0\.2 s"):
        wait_healthy(deaf, layout, started[0], seconds=0.2)


def test_ended_process_is_gone(layout: Layout) -> None:
    works = program(layout, WEB_SERVER)
    running = start(works, layout)
    wait_healthy(works, layout, running)
    stop([running])
    assert not running.alive
    assert not is_healthy(works, layout)


def test_process_that_does_not_listen_is_killed(layout: Layout) -> None:
    deaf = program(layout, DEAF)
    running = start(deaf, layout)
    wait_until(lambda: layout.file("program.log").read_text() == "deaf\n", "it is deaf", 30)
    stop([running], seconds=0.1)
    assert not running.alive


def test_process_with_the_pid_of_an_ended_one_is_left_alone() -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        ours = replace(identify(other.pid), started=1.0)
        assert not ours.alive
        stop([ours])
        assert other.poll() is None
    finally:
        other.communicate(b"\n")
