"""W14, W21: one engine of two ranks. On a CPU, two processes stand in for two devices."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from tests.integration.faults.drills import (
    PATIENCE,
    SOME_STEPS,
    asked,
    assert_failed,
    draw,
    metric,
    open_request,
    picture,
)
from tests.integration.support.requests import opened
from tests.integration.support.server import MODEL, ServerProcess, wait_until

FLAGS = ("--cfg-parallel", "true", "--torch-threads", "1")
# Half a batch is a smaller matrix, which rounds otherwise: of 255.
ROUNDING = 2


def ranks(server: ServerProcess) -> list[psutil.Process]:
    """The processes of both ranks in order, once they are there."""

    def found() -> list[psutil.Process] | None:
        children = psutil.Process(server.process.pid).children()
        ours = [each for each in children if any("spawn_main" in part for part in each.cmdline())]
        return sorted(ours, key=lambda each: each.pid) if len(ours) == 2 else None

    return wait_until(found, "both ranks are there")


def stages(server: ServerProcess) -> list[str]:
    return [each["stage"] for each in server.events("engine_loading")]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Its second rank stood still while it loaded: the server was not Ready meanwhile."""
    before = set(Path(tempfile.gettempdir()).glob("kiln-ranks-*"))
    with ServerProcess(tmp_path_factory.mktemp("ranks"), *FLAGS) as running:
        second = ranks(running)[1]
        second.suspend()
        wait_until(lambda: "meet" in stages(running), "the first rank has loaded")
        assert running.wait_live().status("/v2/health/ready") == httpx.codes.SERVICE_UNAVAILABLE
        assert running.metadata()["state"] == "loading"
        second.resume()
        yield running.wait_ready()
        assert running.terminate() == 0, running.log_tail()
    left = set(Path(tempfile.gettempdir()).glob("kiln-ranks-*")) - before
    assert not left, "where the ranks met is removed"


def test_w21_both_ranks_have_run_the_plan(pair: ServerProcess) -> None:
    report = pair.metadata()["warmup"]
    assert (report["engines"], report["of"], report["done"]) == (1, 1, 1)
    (shape,) = report["shapes"]
    assert shape["proven"]
    assert shape["shape"].endswith("cfg")
    assert draw(pair).json()["parameters"]["cold_shape"] is False


def test_w21_two_ranks_draw_what_one_draws(pair: ServerProcess, server: ServerProcess) -> None:
    both = ranks(pair)
    before = [each.cpu_times().user for each in both]
    two = np.asarray(opened(picture(pair)), int)
    one = np.asarray(opened(picture(server)), int)
    assert np.abs(two - one).max() <= ROUNDING
    assert picture(pair) == picture(pair), "to the bit, by the same two"
    assert draw(pair, steps=100).status_code == httpx.codes.OK
    worked = [each.cpu_times().user - then for each, then in zip(both, before, strict=True)]
    assert min(worked) > max(worked) / 4, "the work is shared"


def test_w14_a_request_without_guidance_is_refused_by_name(pair: ServerProcess) -> None:
    answer = draw(pair, guidance_scale=1)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["error"].startswith("guidance_scale: must be above 1")
    assert "--cfg-parallel" in answer.json()["error"]


def test_w21_after_a_cancellation_the_next_picture_is_right(pair: ServerProcess) -> None:
    clean = picture(pair)
    second = ranks(pair)[1]
    before = second.cpu_times().user
    with open_request(pair):
        wait_until(lambda: second.cpu_times().user > before + SOME_STEPS, "both ranks draw")
    wait_until(lambda: metric(pair, "kiln_requests_in_flight") == 0, "it was cancelled")
    assert draw(pair, steps=1000, timeout_s=0.5).status_code == httpx.codes.GATEWAY_TIMEOUT
    assert picture(pair) == clean


def test_w24_memory_that_runs_out_on_one_rank_is_told_and_both_go_on(pair: ServerProcess) -> None:
    """The address space of the second rank is bounded: its allocator refuses, really."""
    clean = picture(pair)
    second = ranks(pair)[1]
    room = second.memory_info().vms + 50 * 2**20
    second.rlimit(psutil.RLIMIT_AS, (room, psutil.RLIM_INFINITY))
    try:
        answer = draw(pair, width=1024, height=1024)
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "no room for text-to-image 1024x1024" in answer.json()["error"]
        assert picture(pair) == clean
    finally:
        second.rlimit(psutil.RLIMIT_AS, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    assert ["rank 1: " in each["detail"] for each in pair.events("out_of_memory")] == [True]


def test_w21_a_rank_that_stands_still_or_ends_while_warming_keeps_it_unready(
    start_server: Callable[..., ServerProcess], slow_model: Path
) -> None:
    server = start_server(
        *FLAGS, "--model", str(slow_model), "--model-name", MODEL, "--warmup-steps", "400"
    )
    server.wait_state("warming")
    first, second = ranks(server)
    second.suspend()
    stood = first.cpu_times().user
    wait_until(lambda: first.status() == psutil.STATUS_SLEEPING, "the first rank waits for it")
    assert server.metadata()["state"] == "warming"
    assert server.status("/v2/health/ready") == httpx.codes.SERVICE_UNAVAILABLE
    assert first.cpu_times().user - stood < 5, "which is no work"
    os.kill(second.pid, signal.SIGKILL)
    assert_failed(server, 6, "rank 1: the engine process was killed by signal 9")
    assert "ready" not in [each["now"] for each in server.events("state")]


def test_w21_a_rank_that_ends_while_generating_fails_the_request_and_the_server(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(*FLAGS, "--warmup-mode", "off").wait_ready()
    second = ranks(server)[1]
    with asked(server) as runs:
        second.kill()
        answer = runs.result(PATIENCE)
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "rank 1: the engine process was killed by signal 9" in answer.json()["error"]
        assert int(answer.headers["retry-after"]) >= 1
    assert_failed(server, 6, "rank 1: the engine process was killed by signal 9")
