"""``grpc.health.v1`` that a server can end with."""

import asyncio
from typing import Any, Final

from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse

UNKNOWN: Final = HealthCheckResponse.SERVICE_UNKNOWN


class Health(health.aio.HealthServicer):  # type: ignore[misc, name-defined]
    """Whoever watches it does so for ever. The end of a server does not wait for that."""

    def __init__(self) -> None:
        super().__init__()
        self._over = False
        self._news = asyncio.Event()

    async def Watch(self, request: Any, context: Any) -> None:
        """Never broken off from here: gRPC does not end a call whose message is under way."""
        told = None
        while True:
            news = self._news
            status = self._server_status.get(request.service, UNKNOWN)
            if status != told:
                await context.write(HealthCheckResponse(status=status))
                told = status
            elif self._over:
                return
            else:
                await news.wait()

    async def set(self, service: str, status: Any) -> None:
        await super().set(service, status)
        self._tell()

    def end(self) -> None:
        """Let those who watch hear what there is to hear, and end their calls."""
        self._over = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
