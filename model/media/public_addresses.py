"""Which addresses are somebody's in the world, and not this machine, cluster or cloud's own. A name
that anybody may register can have any address, such as that of a cloud's metadata.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Addresses of IPv6 that a router turns into the one of IPv4 in their last four bytes: RFC 6052
# (NAT64), RFC 4291 (compatible ones, which nobody should have any more).
ENDING_IN_IPV4: Final = (
    ipaddress.IPv6Network("64:ff9b::/96"),
    ipaddress.IPv6Network("::/96"),
)
# NAT64 within a network, RFC 8215.
LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")


def may_be_asked(address: Address, networks: Sequence[Network]) -> bool:
    """Whether it is public, or in one of ``networks``, however it is wrapped."""
    return all(
        _is_public(each) or any(each in network for network in networks) for each in _meant(address)
    )


def _meant(address: Address) -> Iterator[Address]:
    """The addresses that packets to ``address`` may reach: itself, or those inside it."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    inside: list[Address] = [
        each for each in (address.ipv4_mapped, address.sixtofour) if each is not None
    ]
    if any(address in network for network in ENDING_IN_IPV4) and int(address) > 1:
        inside.append(ipaddress.IPv4Address(address.packed[-4:]))
    yield from inside or [address]


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (
        address.is_site_local or address in LOCAL_NAT64
    ):
        return False
    return address.is_global and not address.is_multicast
