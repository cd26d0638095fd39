"""Read a request's body within its limit, and notice when the client goes away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starlette.requests import Request

from ..errors import Cancelled, PayloadTooLarge

# A client that is refused while it sends must be able to finish, or it sees a broken connection in
# place of the 413. Past this multiple of the limit it is cut off.
LINGER: Final = 8
T = TypeVar("T")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body.

    Raises:
        PayloadTooLarge: more than ``limit`` bytes.
    """
    too_large = PayloadTooLarge(f"the body exceeds {limit} bytes; see --max-body-bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit * LINGER:
        raise too_large
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= limit:
            parts.append(part)
        elif size > limit * LINGER:
            break
    if size > limit:
        raise too_large
    return b"".join(parts)


async def until_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Run ``work``; cancel it when the client disconnects. The body must have been read.

    Raises:
        Cancelled: the client is gone.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        raise Cancelled("the client disconnected")
    finally:
        task.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
