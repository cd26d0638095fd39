"""The port of stages: how it opens, and how it ends."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from model.contract.state import State
from model.errors import PortInUse, ReplicaLost
from model.transport.client import StageClient
from tests.unit.model.transport.support import (
    INVERSE,
    SOON,
    StageHost,
    a_client,
    a_payload,
    content,
    until,
)

NEVER = 3600.0


async def test_a_port_that_somebody_has(host: StageHost) -> None:
    with pytest.raises(PortInUse, match=str(host.port)):
        await StageHost().open(host.port)


async def test_running_stages_finish_and_new_ones_are_refused(
    host: StageHost, client: StageClient
) -> None:
    work = asyncio.create_task(client.run(a_payload(hold_at=1)))
    await until(lambda: host.runner.running, "the stage")
    await host.become(State.DRAINING)
    ending = asyncio.create_task(host.server.stop(NEVER))
    stranger = a_client(host)

    async def refused() -> bool:
        try:
            await stranger.run(a_payload(request_id="late"))
        except ReplicaLost:
            return True
        return False

    async with asyncio.timeout(SOON):
        while not await refused():
            pass  # it had not begun to end yet
    assert not work.done()
    host.runner.released.set()
    assert content(await work) == b"fox".translate(INVERSE)
    await asyncio.wait_for(ending, SOON)
    await stranger.close()


async def test_who_watches_the_health_does_not_keep_it_from_ending(host: StageHost) -> None:
    async with grpc.aio.insecure_channel(host.address.target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        await host.become(State.DRAINING)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await asyncio.wait_for(host.server.stop(NEVER), SOON)
