"""An answer of server-sent events, of which nothing goes on once its client is gone."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..errors import KilnError
from .body import until_disconnect

# No cache and no proxy keeps an event for later.
HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream(Response):
    """``first`` has been waited for: until then an error would have had its own status.
    ``outcome`` is entered, and hears how it ends. ``told``: an error as an event.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        outcome: AbstractContextManager[object],
        told: Callable[[KilnError], bytes],
        headers: dict[str, str],
    ) -> None:
        super().__init__(headers=HEADERS | headers)
        del self.headers["content-length"]
        self._first = first
        self._rest = rest
        self._outcome = outcome
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            with self._outcome:
                await until_disconnect(request, self._send(send))
        except KilnError as error:
            # To a client that is gone this is lost.
            await send({"type": "http.response.body", "body": self._told(error)})

    async def _send(self, send: Send) -> None:
        async with aclosing(self._rest) as rest:
            await send(
                {"type": "http.response.start", "status": self.status_code,
                 "headers": self.raw_headers}
            )  # fmt: skip
            await _part(send, self._first)
            async for each in rest:
                await _part(send, each)
        await send({"type": "http.response.body", "body": b""})


async def _part(send: Send, content: bytes) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})
