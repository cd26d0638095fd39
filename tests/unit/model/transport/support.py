"""Stages that compute something on bytes, and servers that have them. Nothing here knows torch."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from model.contract.roles import Role
from model.contract.state import State
from model.contract.wire import Stage
from model.transport.addresses import Address
from model.transport.calling import SERVER_OPTIONS, SERVICE, Security
from model.transport.client import StageClient
from model.transport.listening import GrpcPort, PortOptions, credentials
from model.transport.payload import Bounds, Payload, pack
from model.transport.protocol import Identity, OnStep, StageRequest, StageResult
from model.transport.safetensors_index import write_index
from model.transport.server import StageService

HOST = "127.0.0.1"
BOUNDS = Bounds(bytes=16 * 1024 * 1024, tensors=8)
OPEN = Security()
INVERSE = bytes(255 - each for each in range(256))
SOON = 20.0


def a_file(data: bytes) -> bytes:
    return write_index([("x", "U8", (len(data),), len(data))]) + data


def a_payload(data: bytes = b"fox", *, request_id: str = "r", **facts: Any) -> Payload:
    return pack(Stage.DENOISE, request_id, a_file(data), facts)


def content(payload: Payload) -> bytes:
    (entry,) = payload.header.tensors
    return payload.data[len(payload.data) - entry.size :]


class Inverter:
    """Inverts the bytes of the one tensor in each of ``steps`` steps. ``hold_at``: a step before
    which it waits until it is released. ``told`` hears what happens.
    """

    def __init__(self, told: Callable[[str, str, int], None] = lambda what, whose, step: None):
        self._told = told
        self.released = asyncio.Event()
        self.requests: list[StageRequest] = []
        self.errors: dict[str, Exception] = {}
        self.running = 0

    async def run(self, request: StageRequest, on_step: OnStep) -> StageResult:
        self.requests.append(request)
        self.running += 1
        try:
            return await self._run(request, on_step)
        finally:
            self.running -= 1

    async def _run(self, request: StageRequest, on_step: OnStep) -> StageResult:
        header = request.payload.header
        if error := self.errors.get(header.request_id):
            raise error
        data, steps = content(request.payload), int(str(header.facts.get("steps", 1)))
        for step in range(1, steps + 1):
            try:
                if step == header.facts.get("hold_at"):
                    await self.released.wait()
                await asyncio.sleep(0)  # where an engine would look for a cancellation
            except asyncio.CancelledError:
                self._told("cancelled", header.request_id, step)
                raise
            data = data.translate(INVERSE)
            on_step(step, steps)
            self._told("step", header.request_id, step)
        left = None if request.deadline is None else request.deadline - time.monotonic()
        facts = {"pid": os.getpid(), "left": left, "trace": dict(request.trace)}
        return StageResult(a_file(data), facts)


class StageHost:
    """A role's server in this process, on a port of the loopback. ``runner`` is at hand."""

    def __init__(
        self,
        role: Role = Role.DENOISER,
        revision: str = "v1",
        *,
        security: Security = OPEN,
        most: int = 8,
        longest: float = 600.0,
        runner: Any = None,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self.state = State.READY
        self.runner = runner or Inverter()
        self.identity = Identity(role, "fox", revision)
        self.service = StageService(
            lambda: self.identity, self.runner, lambda: self.state, BOUNDS, security, most, longest
        )
        shown = credentials(certificate, key) if certificate and key else None
        options = PortOptions((SERVICE,), SERVER_OPTIONS, shown)
        self.server = GrpcPort(options).serving(self.service.handler())
        self.port = 0

    async def open(self, port: int = 0) -> Self:
        self.port = await self.server.start(HOST, port, self.state)
        return self

    @property
    def address(self) -> Address:
        return Address(HOST, self.port, "localhost")

    async def become(self, state: State) -> None:
        self.state = state
        await self.server.follow(state)

    async def close(self) -> None:
        """As abruptly as one process can be to another."""
        self.runner.released.set()
        await self.server.stop(0)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def a_client(host: Any, security: Security = OPEN, bounds: Bounds = BOUNDS) -> StageClient:
    return StageClient(host.address, bounds, security)


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something in this process, no longer than a test may."""
    limit = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < limit, f"{what} did not happen"
        await asyncio.sleep(0.01)
