"""Both ends of a hop in one process: the transport of the roles, and its partner, a bare HTTP POST.

``python -m benchmarks.hop_server`` prints its ports and serves until its input closes. Each gives
back the bytes that it got, and computes nothing.
"""

import asyncio
import json
import sys
from typing import Any, Final

import uvicorn

from model.contract.roles import Role
from model.contract.state import State
from model.transport.calling import SERVER_OPTIONS, SERVICE, Security
from model.transport.listening import GrpcPort, PortOptions
from model.transport.payload import Bounds
from model.transport.protocol import Identity, OnStep, StageRequest, StageResult
from model.transport.server import StageService

HOST: Final = "127.0.0.1"
BOUNDS: Final = Bounds(bytes=64 * 1024 * 1024, tensors=8)
LONGEST_SECONDS: Final = 60.0


class Echo:
    """The stage that computes nothing."""

    async def run(self, request: StageRequest, on_step: OnStep) -> StageResult:
        return StageResult(request.payload.data, request.payload.header.facts)


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """HTTP: the body that came, as the body."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(parts)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


async def main() -> None:
    identity = Identity(Role.DENOISER, "echo", "")
    service = StageService(
        lambda: identity, Echo(), lambda: State.READY, BOUNDS, Security(), 8,
        LONGEST_SECONDS,
    )  # fmt: skip
    stages = GrpcPort(PortOptions((SERVICE,), SERVER_OPTIONS)).serving(service.handler())
    port = await stages.start(HOST, 0, State.READY)
    config = uvicorn.Config(answer, host=HOST, port=0, lifespan="off", log_level="error")
    http = uvicorn.Server(config)
    serving = asyncio.create_task(http.serve())
    while not http.started:  # noqa: ASYNC110 - uvicorn tells no other way
        await asyncio.sleep(0.01)
    http_port = http.servers[0].sockets[0].getsockname()[1]
    print(json.dumps({"stages": port, "http": http_port}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    http.should_exit = True
    await serving
    await stages.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
