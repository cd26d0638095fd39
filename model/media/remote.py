"""Fetch the pictures that a request names by address, of hosts that the settings list.

Whoever sends a request chooses what this server asks, from inside of a network that he may not be
in. So each address is checked against the list, and again after each redirect; each name is looked
up once, and the connection is made to the very address that was checked: a name whose next answer
is another one leads nowhere. No proxy, cookie or credential is used, and nothing is unpacked.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from ..errors import InvalidRequest
from ..settings import Settings
from ..url_hosts import PORTS

LONGEST_URL: Final = 2048
MOST_REDIRECTS: Final = 3
REDIRECTS: Final = (301, 302, 303, 307, 308)
OK: Final = 200
INSTEAD: Final = "send the picture itself, as base64"

# The addresses of a host, as text.
Resolve = Callable[[str, int], Awaitable[list[str]]]


class NotFetched(Exception):
    """Why not, for the caller: said of the field."""


class TooLarge(Exception):
    """There is more than may be read."""


@dataclass(frozen=True, slots=True)
class Target:
    """``path``: with the query."""

    scheme: str
    host: str
    port: int
    path: str


class PictureFetcher:
    """For one request: all its pictures together may have as many bytes as a body, and take as long
    as the settings say. ``resolve``: how names are looked up.
    """

    def __init__(self, settings: Settings, resolve: Resolve | None = None) -> None:
        self._hosts = settings.image_url_hosts
        self._seconds = settings.image_url_timeout
        self._left = self._most = settings.max_body_bytes
        self._deadline: float | None = None
        self._networks = settings.image_url_networks
        self._resolve = resolve or look_up

    async def fetch(self, url: str, field: str) -> bytes:
        """What lies at ``url``.

        Raises:
            InvalidRequest: it may not be fetched, or could not be.
        """
        if not self._hosts:
            raise InvalidRequest(
                field, f"is an address, and this server fetches nothing: {INSTEAD}"
            )
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                found = await self._followed(url)
        except TooLarge as error:
            raise InvalidRequest(
                field,
                "is an address of more than is taken: the pictures of a request may have "
                f"{self._most} bytes in all",
            ) from error
        except NotFetched as error:
            raise InvalidRequest(field, f"{error}: {INSTEAD}") from error
        except TimeoutError as error:
            raise InvalidRequest(
                field, f"is an address that did not answer in {self._seconds:g} s: {INSTEAD}"
            ) from error
        except OSError as error:
            # No more than that: who asks shall not learn what there is inside of a network.
            raise InvalidRequest(field, f"is an address that does not answer: {INSTEAD}") from error
        self._left -= len(found)
        return found

    async def _followed(self, url: str) -> bytes:
        # By need: a server that fetches nothing starts without it.
        from .remote_http import opened

        async with opened(self._networks, self._resolve) as ask:
            for _ in range(1 + MOST_REDIRECTS):
                answer = await ask(self._checked(url), self._left)
                if answer.status == OK:
                    return answer.body
                if answer.status not in REDIRECTS or not answer.location:
                    raise NotFetched(f"is an address that answers {answer.status}")
                url = urljoin(url, answer.location)
        raise NotFetched(f"is an address that redirects more than {MOST_REDIRECTS} times")

    def _checked(self, url: str) -> Target:
        """Raises:
        NotFetched: not on a host of the list.
        """
        target = _parsed(url)
        if not any(each.allows(target.scheme, target.host, target.port) for each in self._hosts):
            raise NotFetched("is an address on a host that this server does not fetch from")
        return target


async def look_up(host: str, port: int) -> list[str]:
    """By the machine's own resolver.

    Raises:
        OSError: there is no such name.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a part of it is empty, or too long
        raise OSError(str(error)) from error
    return [str(address[0]) for *_, address in found]


def _parsed(url: str) -> Target:
    if len(url) > LONGEST_URL:
        raise NotFetched(f"is an address of more than {LONGEST_URL} characters")
    # Parsers differ about the others.
    if not all("!" <= each <= "~" and each not in '\\^`{|}<>"' for each in url):
        raise NotFetched("is an address with signs in it that belong percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotFetched("is an address that cannot be read") from None
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower().rstrip(".")
    if scheme not in PORTS or not host:
        raise NotFetched("is no address of http or https")
    if parts.username is not None or parts.password is not None:
        raise NotFetched("is an address with a name or a password in it")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme, host, PORTS[scheme] if port is None else port, path)
