"""``grpc.health.v1`` that a server can end with."""

import asyncio
from typing import Any

from grpc_health.v1 import health


class Health(health.aio.HealthServicer):  # type: ignore[misc, name-defined]
    """Whoever watches it does so for ever. The end of a server does not wait for that."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Event()

    async def Watch(self, request: Any, context: Any) -> None:
        both = {
            asyncio.ensure_future(each)
            for each in (super().Watch(request, context), self.over.wait())
        }
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
