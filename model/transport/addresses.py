"""Where the replicas of a role are: a list that stays, or all that DNS has for a name now."""

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from ..errors import InvalidSettings

RECORDS: Final = (dns.rdatatype.A, dns.rdatatype.AAAA)
DNS_SECONDS: Final = 3.0
SCHEME: Final = "dns://"


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """``name``: what its certificate is for."""

    host: str
    port: int
    name: str

    @property
    def target(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.target


class Unresolved(Exception):
    """Nobody could say now. What was known before is still the best guess."""


class Addresses(Protocol):
    async def now(self) -> frozenset[Address]:
        """All of them. None is an answer, too.

        Raises:
            Unresolved: there is no answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """A list that does not change."""

    addresses: frozenset[Address]

    async def now(self) -> frozenset[Address]:
        return self.addresses


class Named:
    """All addresses of a headless Service's name, each a pod. The search list of the machine
    applies, so that ``name`` and ``name.namespace`` work as they do everywhere in a cluster.
    """

    def __init__(
        self, name: str, port: int, resolver: dns.asyncresolver.Resolver | None = None
    ) -> None:
        self._name = name
        self._port = port
        try:
            self._resolver = resolver or dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration as error:
            raise InvalidSettings(f"{name}: no DNS server is configured here") from error

    async def now(self) -> frozenset[Address]:
        found: set[str] = set()
        silent: list[Unresolved] = []
        for each in await asyncio.gather(*map(self._records, RECORDS), return_exceptions=True):
            if isinstance(each, Unresolved):
                silent.append(each)
            elif isinstance(each, BaseException):
                raise each
            else:
                found.update(each)
        # Some servers never answer for one of the two. Then the other has to do, if it has any.
        if silent and not found:
            raise silent[0]
        return frozenset(Address(host, self._port, self._name) for host in found)

    async def _records(self, kind: dns.rdatatype.RdataType) -> list[str]:
        try:
            answer = await self._resolver.resolve(
                self._name, kind, search=True, lifetime=DNS_SECONDS, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN:
            return []  # a headless Service without a pod
        except dns.exception.DNSException as error:
            raise Unresolved(f"{self._name}: {error}") from error
        return [each.address for each in answer]


def parse(text: str, setting: str) -> Addresses:
    """``dns://NAME:PORT``, or ``HOST:PORT,HOST:PORT``.

    Raises:
        InvalidSettings: it is neither; the message names ``setting``.
    """
    if text.startswith(SCHEME):
        named = _address(text.removeprefix(SCHEME), setting)
        return Named(named.host, named.port)
    return Listed(frozenset(_address(each.strip(), setting) for each in text.split(",")))


def _address(text: str, setting: str) -> Address:
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not (colon and bare and port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise InvalidSettings(
            f"{setting}: {text[:100]!r} is no HOST:PORT; write addresses with commas between them, "
            f"or {SCHEME}NAME:PORT for all that DNS has for a name"
        )
    if ":" in bare:
        try:
            ipaddress.IPv6Address(bare)
        except ValueError:
            raise InvalidSettings(f"{setting}: {text[:100]!r} is no IPv6 address") from None
    return Address(bare, int(port), bare)
