"""Every request is counted once, by how it ended."""

import asyncio

import pytest

from model import errors
from model.serving.context import Serving
from model.serving.outcomes import counted
from model.telemetry.metrics import OUTCOMES

ENDS: list[tuple[BaseException, str]] = [
    (asyncio.CancelledError(), "cancelled"),
    (errors.Cancelled("gone"), "cancelled"),
    (errors.QueueFull(1, 1.0), "rejected"),
    (errors.NotReady("warming", 1.0, {}), "not_ready"),
    (errors.DeadlineExceeded("late"), "deadline"),
    (errors.EngineLost("killed"), "engine_lost"),
    (errors.InvalidRequest("width", "is wrong"), "invalid"),
    (errors.PayloadTooLarge("too large"), "invalid"),
    (errors.GenerationFailed("raised"), "failed"),
    (errors.OutOfMemory("no room"), "failed"),
    (ZeroDivisionError(), "failed"),
]


def value(serving: Serving, name: str, **labels: str) -> float:
    return serving.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(("end", "outcome"), ENDS, ids=lambda each: type(each).__name__)
def test_ends(serving: Serving, end: BaseException, outcome: str) -> None:
    in_flight = []

    def fail() -> None:
        with counted(serving.metrics, "v2-rest"):
            in_flight.append(value(serving, "kiln_requests_in_flight"))
            raise end

    with pytest.raises(type(end)):
        fail()
    assert in_flight == [1]
    assert outcome in OUTCOMES
    assert value(serving, "kiln_requests_total", protocol="v2-rest", outcome=outcome) == 1
    assert value(serving, "kiln_request_seconds_count", protocol="v2-rest") == 0
    assert value(serving, "kiln_requests_in_flight") == 0


def test_success_is_timed(serving: Serving) -> None:
    with counted(serving.metrics, "v1"):
        pass
    assert value(serving, "kiln_requests_total", protocol="v1", outcome="ok") == 1
    assert value(serving, "kiln_request_seconds_count", protocol="v1") == 1
