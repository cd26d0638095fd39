"""The engine dies or hangs: NotReady at once, requests told, the process ends with the reason."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import psutil
import pytest

from tests.integration.faults.drills import (
    PATIENCE,
    asked,
    assert_failed,
    engine_of,
    grpc_call,
    wait_busy,
)
from tests.integration.support.server import ServerProcess, wait_until

Start = Callable[..., ServerProcess]
NOT_WARMED = ("--warmup-mode", "off")


def watch_readiness(server: ServerProcess) -> list[int]:
    """The answers to ``/v2/health/ready`` until the process has ended."""

    def seen() -> Iterator[int]:
        while server.process.poll() is None:
            yield server.status("/v2/health/ready")

    return list(seen())


def assert_never_ready_again(server: ServerProcess) -> None:
    """From the moment in which the loss was noticed, which is no later than the first 503."""
    statuses = watch_readiness(server)
    first = next((place for place, each in enumerate(statuses) if each != 200), len(statuses))
    assert 200 not in statuses[first:]
    assert set(statuses[first:]) <= {503, 0}


def reach_loading(start: Start, _: Path) -> ServerProcess:
    server = start()
    engine_of(server)
    assert server.wait_live().metadata()["state"] == "loading"
    return server


def reach_warming(start: Start, slow_model: Path) -> ServerProcess:
    server = start("--model", str(slow_model), "--warmup-steps", "400")
    server.wait_state("warming")
    wait_busy(server)
    return server


def reach_idle(start: Start, _: Path) -> ServerProcess:
    return start(*NOT_WARMED).wait_ready()


@pytest.mark.parametrize("reach", [reach_loading, reach_warming, reach_idle])
def test_kill_the_engine(
    reach: Callable[[Start, Path], ServerProcess], start_server: Start, slow_model: Path
) -> None:
    server = reach(start_server, slow_model)
    engine_of(server).kill()
    assert_never_ready_again(server)
    assert_failed(server, 6, "the engine process was killed by signal 9")


def test_kill_the_engine_while_it_generates(start_server: Start) -> None:
    """The request that runs and the one that waits are both told that a retry may help."""
    server = start_server(*NOT_WARMED).wait_ready()
    with asked(server) as runs, grpc_call(server) as waits:
        engine_of(server).kill()
        answer = runs.result(PATIENCE)
        assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "the engine was lost" in answer.json()["error"]
        assert "signal 9" in answer.json()["error"]
        assert int(answer.headers["retry-after"]) >= 1
        assert waits.code() is grpc.StatusCode.UNAVAILABLE
        assert "the engine was lost" in waits.details()
    assert_never_ready_again(server)
    assert_failed(server, 6, "the engine process was killed by signal 9")


@pytest.mark.parametrize("busy", [True, False], ids=["generating", "idle"])
def test_an_engine_that_hangs(start_server: Start, busy: bool) -> None:
    server = start_server(*NOT_WARMED, "--step-timeout", "2").wait_ready()
    doing = "while it was drawing" if busy else "while it was idle"
    if busy:
        with asked(server) as runs:
            engine_of(server).suspend()
            assert runs.result(PATIENCE).status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert "no sign of life" in runs.result().json()["error"]
    else:
        engine_of(server).suspend()
    assert_never_ready_again(server)
    assert_failed(server, 7, "no sign of life", doing, "limit 2 s")


def test_kill_the_server_while_it_generates(start_server: Start) -> None:
    """Nobody can clean up then; the engine and the shared memory go away all the same."""
    server = start_server(*NOT_WARMED).wait_ready()
    engine = engine_of(server)
    with ThreadPoolExecutor(1) as pool, asked(server) as runs:
        maps = psutil.Process(server.process.pid).memory_maps()
        memory = [Path(each.path) for each in maps if "psm_" in each.path]
        assert memory, "the picture's memory is there while it is drawn"
        server.process.send_signal(signal.SIGKILL)
        assert isinstance(runs.exception(PATIENCE), httpx.TransportError)
        pool.submit(engine.wait, PATIENCE).result()
    wait_until(lambda: not any(each.exists() for each in memory), "shared memory is removed")
    assert not engine.is_running()
