"""SIGTERM and Ctrl-C in each state: exit status 0, nothing left, no request lost in a drain."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.faults.drills import (
    PATIENCE,
    asked,
    assert_stopped,
    draw,
    wait_busy,
)
from tests.integration.support.server import ServerProcess

Start = Callable[..., ServerProcess]
NOT_WARMED = ("--warmup-mode", "off")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_it_starts(start_server: Start, number: signal.Signals) -> None:
    """As soon as it is live: kserve is being imported, and the engine just begins."""
    server = start_server().wait_live()
    server.process.send_signal(number)
    assert_stopped(server)


def test_while_it_loads(start_server: Start) -> None:
    """The engine has begun."""
    server = start_server()
    server.wait_event("engine_loading")
    server.process.send_signal(signal.SIGTERM)
    assert_stopped(server)


def test_while_it_warms(start_server: Start, slow_model: Path) -> None:
    server = start_server("--model", str(slow_model), "--warmup-steps", "400")
    server.wait_state("warming")
    wait_busy(server)
    server.process.send_signal(signal.SIGTERM)
    assert_stopped(server)
    assert "ready" not in [each["now"] for each in server.events("state")]


def test_drain_finishes_what_runs_and_serves_what_comes(start_server: Start) -> None:
    """NotReady at once; load balancers need a while to notice, and who comes meanwhile is served.
    The process ends by itself."""
    server = start_server(*NOT_WARMED, "--drain-delay", "6").wait_ready()
    with asked(server, steps=100) as runs, ThreadPoolExecutor(1) as pool:
        server.process.send_signal(signal.SIGTERM)
        server.wait_state("draining")
        assert server.status("/v2/health/ready") == httpx.codes.SERVICE_UNAVAILABLE
        assert server.status("/v2/health/live") == httpx.codes.OK
        comes = pool.submit(draw, server)
        assert runs.result(PATIENCE).status_code == httpx.codes.OK
        assert comes.result(PATIENCE).status_code == httpx.codes.OK
    assert_stopped(server)


@pytest.mark.parametrize(
    "signals", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)], ids=["twice", "ctrl-c"]
)
def test_in_a_hurry_nothing_is_waited_for(
    start_server: Start, signals: tuple[signal.Signals, ...]
) -> None:
    """Neither the drain delay nor the request that runs, which is told to try elsewhere."""
    server = start_server(*NOT_WARMED, "--drain-delay", "300", "--drain-timeout", "300")
    server.wait_ready()
    with asked(server) as runs:
        for number in signals:
            server.process.send_signal(number)
            server.wait_event("told_to_stop")
        answer = runs.result(PATIENCE)
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "stopping" in answer.json()["error"]
    assert_stopped(server)
