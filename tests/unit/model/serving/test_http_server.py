"""The port, when it ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from fastapi import FastAPI

from model.serving.http_server import KEEP_ALIVE_SECONDS, HttpServer, bind
from model.settings import Settings

REQUEST = b"GET /docs HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
SECONDS = 10.0


@dataclass(frozen=True)
class Running:
    server: HttpServer
    listening: socket.socket
    serving: asyncio.Task[None]

    async def end(self) -> None:
        self.server.should_exit = True
        await self.serving

    def connect(self) -> socket.socket:
        """The system lets it in, whether or not the server looks."""
        return socket.create_connection(self.listening.getsockname(), timeout=SECONDS)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    settings = Settings(host="127.0.0.1", http_port=0, enable_grpc=False)
    server, listening = HttpServer(FastAPI(), settings), bind(settings)
    serving = asyncio.create_task(server.serve([listening]))
    await server.up.wait()
    made = Running(server, listening, serving)
    yield made
    await made.end()


async def test_c16_who_waits_at_the_door_when_it_closes_is_answered(running: Running) -> None:
    place = running.listening.getsockname()
    with running.connect() as client:
        client.sendall(REQUEST)
        running.server.refuse_connections(running.listening)
        answer = await asyncio.to_thread(client.recv, 64)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place, timeout=SECONDS)


async def test_c16_a_port_that_has_ended_has_no_door(running: Running) -> None:
    await running.end()
    running.server.refuse_connections(running.listening)


async def test_c16_nobody_connected_is_nobody_to_wait_for(running: Running) -> None:
    with running.connect() as client:
        client.sendall(REQUEST)
        await asyncio.to_thread(client.recv, 64)
        await running.server.deserted(SECONDS)
    assert not running.server.server_state.connections


def test_c16_connections_are_kept_for_longer_than_balancers_keep_theirs() -> None:
    server = HttpServer(FastAPI(), Settings())
    assert server.config.timeout_keep_alive == KEEP_ALIVE_SECONDS > 60
