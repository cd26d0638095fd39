"""A DNS server on the loopback: UDP and TCP, with the zone of the moment."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

DATAGRAM_BYTES = 1232


class NameServer(asyncio.DatagramProtocol):
    """``zone``: addresses by name, in lower case without the last dot."""

    def __init__(self) -> None:
        self.zone: dict[str, list[str]] = {}
        self.failing = False
        self.failing_for: set[str] = set()
        self.over_tcp = 0
        self.port = 0
        self._transport: Any = None

    def resolver(self) -> dns.asyncresolver.Resolver:
        """One that asks this server and no other."""
        found = dns.asyncresolver.Resolver(configure=False)
        found.nameservers = ["127.0.0.1"]
        found.port = self.port
        return found

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        answer = self._answer(dns.message.from_wire(data))
        if len(answer.to_wire()) > DATAGRAM_BYTES:
            answer.answer.clear()
            answer.flags |= dns.flags.TC
        self._transport.sendto(answer.to_wire(), address)

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.over_tcp += 1
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            length = int.from_bytes(await reader.readexactly(2), "big")
            asked = dns.message.from_wire(await reader.readexactly(length))
            wire = self._answer(asked).to_wire()
            writer.write(len(wire).to_bytes(2, "big") + wire)
            await writer.drain()

    def _answer(self, asked: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(asked, recursion_available=True)
        (question,) = asked.question
        kind = dns.rdatatype.to_text(question.rdtype)
        hosts = self.zone.get(question.name.to_text(omit_final_dot=True).lower())
        if self.failing or kind in self.failing_for:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif hosts is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            version = {"A": 4, "AAAA": 6}[kind]
            fitting = [each for each in hosts if ipaddress.ip_address(each).version == version]
            if fitting:
                answer.answer.append(
                    dns.rrset.from_text_list(question.name, 30, "IN", kind, fitting)
                )
        return answer


@contextlib.asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """Running, on one port of both protocols."""
    server = NameServer()
    loop = asyncio.get_running_loop()
    over_tcp = await asyncio.start_server(server.serve_tcp, "127.0.0.1", 0)
    server.port = over_tcp.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", server.port)
    )
    try:
        yield server
    finally:
        transport.close()
        over_tcp.close()
        await over_tcp.wait_closed()
