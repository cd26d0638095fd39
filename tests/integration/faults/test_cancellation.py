"""Clients that go away, and deadlines that pass: the engine is free at the next step, and the next
picture equals a clean run bit for bit. Judged by order and by counts, never by time.
"""

from collections.abc import Callable

import grpc
import httpx
import pytest

from tests.integration.faults.drills import (
    ENDLESS,
    asked,
    draw,
    grpc_call,
    metric,
    open_request,
    outcomes,
    picture,
    wait_drawing,
)
from tests.integration.support.server import ServerProcess, wait_until


def leave_rest(server: ServerProcess) -> None:
    connection = open_request(server)
    wait_drawing(server)
    connection.close()


def leave_grpc(server: ServerProcess) -> None:
    with grpc_call(server) as call:
        wait_drawing(server)
        assert call.cancel()
        assert call.code() is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize("leave", [leave_rest, leave_grpc])
def test_a_client_that_goes_away(
    server: ServerProcess, leave: Callable[[ServerProcess], None]
) -> None:
    clean = picture(server)
    cancelled = outcomes(server, "cancelled")
    drawn = metric(server, "kiln_images_total")
    leave(server)
    assert picture(server) == clean, "the next picture equals a clean run"
    wait_until(lambda: metric(server, "kiln_requests_in_flight") == 0, "nothing is in flight")
    assert outcomes(server, "cancelled") == cancelled + 1
    assert metric(server, "kiln_images_total") == drawn + 1, "only the next one was drawn"


def test_a_waiting_client_that_goes_away_costs_nothing(server: ServerProcess) -> None:
    drawn = metric(server, "kiln_images_total")
    with asked(server, steps=100) as runs:
        waiting = open_request(server)
        wait_until(lambda: metric(server, "kiln_queue_depth") == 1, "one waits")
        waiting.close()
        wait_until(lambda: metric(server, "kiln_queue_depth") == 0, "it is taken out")
        assert runs.result().status_code == httpx.codes.OK
    assert metric(server, "kiln_images_total") == drawn + 1


def test_a_deadline_that_passes_while_it_is_drawn(server: ServerProcess) -> None:
    clean = picture(server)
    answer = draw(server, steps=ENDLESS, timeout_s=0.5)
    assert answer.status_code == httpx.codes.GATEWAY_TIMEOUT
    assert "deadline passed while it was drawn" in answer.json()["error"]
    assert picture(server) == clean
    assert outcomes(server, "deadline") >= 1


def test_a_deadline_that_passes_while_it_waits(server: ServerProcess) -> None:
    with asked(server, steps=100) as runs:
        answer = draw(server, timeout_s=0.05)
        assert answer.status_code == httpx.codes.GATEWAY_TIMEOUT
        assert "in the queue" in answer.json()["error"]
        assert not runs.done(), "it was told at its deadline, not when its turn came"
        assert runs.result().status_code == httpx.codes.OK
