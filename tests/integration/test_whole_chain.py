"""``serve --role all``: one command, a chain that draws as one server does, and an end of all of it
however it comes.
"""

import signal
from collections.abc import Callable

import psutil

from tests.integration.faults.drills import assert_stopped, picture
from tests.integration.support.requests import opened
from tests.integration.support.server import START_SECONDS, ServerProcess, wait_until

LOADS_NOT = 4
KILLED = 128 + signal.SIGKILL
NAMES = ["encoder", "denoiser", "decoder", "router"]
Start = Callable[..., ServerProcess]


def servers(whole: ServerProcess) -> dict[str, psutil.Process]:
    """The processes by name, which are started in this order."""
    children = psutil.Process(whole.process.pid).children()
    started = [each for each in children if "spawn_main" in " ".join(each.cmdline())]
    return dict(zip(NAMES, sorted(started, key=psutil.Process.create_time), strict=True))


def all_live(whole: ServerProcess) -> bool:
    return {each.get("server") for each in whole.events("live")} == set(NAMES)


def test_a_whole_chain_draws_as_one_server_would(start_server: Start) -> None:
    whole = start_server("--role", "all", "--torch-threads", "1").wait_ready()
    assert opened(picture(whole)).size == (128, 128)
    assert f"curl -i http://localhost:{whole.http_port}/v2/health/ready" in whole.log()
    whole.process.send_signal(signal.SIGTERM)
    assert_stopped(whole)


def test_all_end_when_one_is_killed(start_server: Start) -> None:
    whole = start_server("--role", "all")
    wait_until(lambda: all_live(whole), "all are live")
    servers(whole)["denoiser"].kill()
    assert whole.wait_exit(START_SECONDS) == KILLED
    assert "kiln: denoiser has ended; so do the others" in whole.log()


def test_all_end_when_one_cannot_start(start_server: Start) -> None:
    whole = start_server("--role", "all", "--model", "/no/such/folder")
    assert whole.wait_exit(START_SECONDS) == LOADS_NOT, whole.log_tail()
    told = {each["server"] for each in whole.events("failed")}
    assert told, "each says for itself why"
    assert told <= {"encoder", "denoiser", "decoder"}


def test_all_end_when_the_one_that_started_them_is_killed(start_server: Start) -> None:
    """That nothing is left is asserted at the end of every server."""
    whole = start_server("--role", "all")
    wait_until(lambda: all_live(whole), "all are live")
    whole.process.kill()
    wait_until(lambda: not whole.session(), "all have ended")
    told = [each["server"] for each in whole.events("told_to_stop")]
    assert set(told) == set(NAMES)
