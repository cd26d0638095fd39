"""W21: two engines behind one queue. On a CPU, two processes stand in for two devices."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.faults.drills import (
    SOME_STEPS,
    assert_failed,
    draw,
    metric,
    open_request,
    picture,
)
from tests.integration.support.server import MODEL, ServerProcess, wait_until

COUNT = 2


def engines(server: ServerProcess) -> list[psutil.Process]:
    """The processes of all engines, once they are there."""

    def found() -> list[psutil.Process] | None:
        children = psutil.Process(server.process.pid).children()
        ours = [each for each in children if any("spawn_main" in part for part in each.cmdline())]
        return ours if len(ours) == COUNT else None

    return wait_until(found, "both engines are there")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("engines")
    with ServerProcess(folder, "--engines", str(COUNT), "--torch-threads", "1") as running:
        yield running.wait_ready()
        assert running.terminate() == 0, running.log_tail()


def test_w21_both_engines_have_run_the_whole_plan(pair: ServerProcess) -> None:
    report = pair.metadata()["warmup"]
    assert (report["engines"], report["of"], report["done"]) == (COUNT, COUNT, COUNT)
    assert [each["engine"] for each in report["shapes"]] == [0, 1]
    assert len({each["shape"] for each in report["shapes"]}) == 1
    assert all(each["proven"] for each in report["shapes"])
    assert metric(pair, "kiln_warmup_shapes_done") == COUNT
    assert draw(pair).json()["parameters"]["cold_shape"] is False


def test_w21_two_requests_at_once_run_on_two_engines(pair: ServerProcess) -> None:
    alone = picture(pair)
    both = engines(pair)
    before = [each.cpu_times().user for each in both]

    def worked() -> bool:
        now = [each.cpu_times().user for each in both]
        return all(b - a > SOME_STEPS for a, b in zip(before, now, strict=True))

    with ExitStack() as requests:
        for _ in range(COUNT):
            requests.enter_context(open_request(pair))
        wait_until(worked, "both engines draw")
        assert metric(pair, "kiln_queue_depth") == 0
    wait_until(lambda: metric(pair, "kiln_requests_in_flight") == 0, "both were cancelled")
    assert {picture(pair) for _ in range(2 * COUNT)} == {alone}, "whichever draws it"


def test_w21_losing_one_engine_while_it_warms_up_ends_the_server_unready(
    start_server: Callable[..., ServerProcess], slow_model: Path
) -> None:
    server = start_server(
        *("--model", str(slow_model), "--model-name", MODEL, "--warmup-steps", "400"),
        *("--engines", str(COUNT), "--torch-threads", "1"),
    )
    server.wait_state("warming")
    second: Any = engines(server)[1]
    assert server.client.get("/v2/health/ready").status_code == httpx.codes.SERVICE_UNAVAILABLE
    os.kill(second.pid, signal.SIGKILL)
    assert_failed(server, 6, "killed by signal 9")
    assert "ready" not in [each["now"] for each in server.events("state")]
