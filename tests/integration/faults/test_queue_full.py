"""A queue with one place, on a second server beside the shared one."""

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

import httpx
import pytest

from tests.integration.faults.drills import asked, draw, metric, outcomes, picture
from tests.integration.support.server import ServerProcess, wait_until

CROWD = 4


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Ready; one request may wait."""
    flags = ("--queue-size", "1", "--warmup-mode", "off")
    with ServerProcess(tmp_path_factory.mktemp("narrow"), *flags) as running:
        yield running.wait_ready()
        assert running.terminate() == 0, running.log_tail()


def test_two_servers_on_one_machine_serve_each_its_own(
    server: ServerProcess, narrow: ServerProcess
) -> None:
    before = [outcomes(each, "ok") for each in (server, narrow)]
    assert picture(server) == picture(narrow)
    assert [outcomes(each, "ok") for each in (server, narrow)] == [each + 1 for each in before]


def test_one_too_many_is_told_when_to_come_back(narrow: ServerProcess) -> None:
    with asked(narrow, steps=100) as runs, ThreadPoolExecutor(CROWD) as pool:
        crowd = [pool.submit(draw, narrow) for _ in range(CROWD)]
        refused = [each.result() for each in _first(crowd, CROWD - 1)]
        assert not runs.done(), "they were refused at once"
        assert [each.status_code for each in refused] == [httpx.codes.TOO_MANY_REQUESTS] * 3
        for each in refused:
            assert int(each.headers["retry-after"]) >= 1
            assert "the queue is full" in each.json()["error"]
        wait_until(lambda: metric(narrow, "kiln_queue_depth") == 1, "one waits")
        assert runs.result().status_code == httpx.codes.OK
    assert sorted(each.result().status_code for each in crowd) == [200, 429, 429, 429]
    assert outcomes(narrow, "rejected") == CROWD - 1


def _first(futures: list[Future[httpx.Response]], count: int) -> list[Future[httpx.Response]]:
    """Those that are done first."""
    return list(itertools.islice(as_completed(futures), count))
