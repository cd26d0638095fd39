"""Ask hosts over HTTP by the addresses that were checked, and by no other."""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import certifi
import httpcore

from .public_addresses import Network, may_be_asked
from .remote import OK, NotFetched, Resolve, Target, TooLarge

HEADERS: Final = (
    ("Accept", "image/png, image/jpeg, image/webp"),
    # Else a few bytes may unpack to many.
    ("Accept-Encoding", "identity"),
    ("User-Agent", "kiln"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """``body``: of an answer with the status 200 only."""

    status: int
    location: str
    body: bytes


# Asks for a target, and reads no more than so many bytes.
Ask = Callable[[Target, int], Awaitable[Answer]]


@contextlib.asynccontextmanager
async def opened(networks: Sequence[Network], resolve: Resolve) -> AsyncIterator[Ask]:
    """What asks. It raises ``NotFetched``, ``TooLarge``, and OSError where nobody answers."""
    context = await asyncio.to_thread(_tls)
    backend = _Checked(networks, resolve)

    async def ask(target: Target, most: int) -> Answer:
        url = httpcore.URL(
            scheme=target.scheme, host=target.host, port=target.port, target=target.path
        )
        try:
            async with pool.stream("GET", url, headers=HEADERS) as answer:
                headers = {name.lower(): value for name, value in answer.headers}
                location = headers.get(b"location", b"").decode("latin-1")
                body = await _body(answer, most) if answer.status == OK else b""
                return Answer(answer.status, location, body)
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise ConnectionError(str(error)) from error

    async with httpcore.AsyncConnectionPool(context, network_backend=backend) as pool:
        yield ask


class _Checked(httpcore.AsyncNetworkBackend):
    def __init__(self, networks: Sequence[Network], resolve: Resolve) -> None:
        self._networks = networks
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, *_: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        """Looks ``host`` up once.

        Raises:
            NotFetched: it has an address that may not be asked. One is enough.
        """
        addresses = await self._resolve(host, port)
        if not all(may_be_asked(ipaddress.ip_address(each), self._networks) for each in addresses):
            raise NotFetched("is an address on a host that is not public")
        failure: Exception = ConnectionError("it has no address")
        for each in addresses:
            try:
                return await self._inner.connect_tcp(each, port, **options)
            except httpcore.ConnectError as error:
                failure = error
        raise failure


async def _body(answer: httpcore.Response, most: int) -> bytes:
    found = bytearray()
    async for part in answer.aiter_stream():
        found += part
        if len(found) > most:
            raise TooLarge
    return bytes(found)


def _tls() -> ssl.SSLContext:
    """Trusts what the machine trusts, and what browsers do."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
