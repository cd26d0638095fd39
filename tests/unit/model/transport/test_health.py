"""Who watches a server's health hears of its end, and is not broken off in the middle of a word."""

import asyncio
from typing import Any

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from model.transport.health import Health

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
SECONDS = 10.0


class Line:
    """A call's context whose messages take as long as ``through`` is closed."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.through = asyncio.Event()
        self.heard: list[Any] = []

    async def write(self, message: HealthCheckResponse) -> None:
        self.begun.set()
        await self.through.wait()
        self.heard.append(message.status)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.mark.parametrize("told", [(), (NOT_SERVING,)], ids=["ends", "drains and ends"])
async def test_c16_a_message_that_is_under_way_arrives_before_the_end(
    line: Line, told: tuple[Any, ...]
) -> None:
    """gRPC does not end a call whose message was broken off, and the server would wait for it."""
    health = Health()
    watch = asyncio.create_task(health.Watch(HealthCheckRequest(), line))
    await asyncio.wait_for(line.begun.wait(), SECONDS)
    for status in told:
        await health.set("", status)
    health.end()
    done, _ = await asyncio.wait({watch}, timeout=0.05)
    assert not done, "the call ended with a message under way"
    line.through.set()
    await asyncio.wait_for(watch, SECONDS)
    assert line.heard == [SERVING, *told]


async def test_c16_who_comes_after_the_end_hears_what_is_and_is_let_go(line: Line) -> None:
    health = Health()
    await health.set("", NOT_SERVING)
    health.end()
    line.through.set()
    await asyncio.wait_for(health.Watch(HealthCheckRequest(), line), SECONDS)
    assert line.heard == [NOT_SERVING]
