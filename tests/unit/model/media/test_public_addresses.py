"""Addresses that somebody in the world has, and those that only look so."""

from ipaddress import ip_address, ip_network

import pytest

from model.media.public_addresses import may_be_asked

PUBLIC = ("8.8.8.8", "140.82.121.4", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")
OWN = {
    "loopback": ("127.0.0.1", "127.8.8.8", "::1"),
    "private": ("10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "fec0::1"),
    "link": ("169.254.169.254", "fe80::1", "fe80::1%1"),
    "shared": ("100.64.0.1",),
    "nobody's": ("0.0.0.0", "::", "240.0.0.1", "255.255.255.255", "192.0.2.1", "2001:db8::1"),  # noqa: S104
    "many's": ("224.0.0.1", "239.1.1.1", "ff02::1", "ff0e::1"),
    "mapped": ("::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    "compatible": ("::127.0.0.1", "::a9fe:a9fe"),
    "6to4": ("2002:7f00:1::", "2002:a9fe:a9fe::1"),
    "nat64": ("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
    "teredo": ("2001:0:808:808::80ff:fffe",),
}


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_may_be_asked(address: str) -> None:
    assert may_be_asked(ip_address(address), ())


@pytest.mark.parametrize("address", [each for many in OWN.values() for each in many])
def test_what_is_our_own_may_not_be_asked_however_it_is_written(address: str) -> None:
    assert not may_be_asked(ip_address(address), ())


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::7"])
def test_ranges_can_be_let_in(address: str) -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert may_be_asked(ip_address(address), networks)
    assert not may_be_asked(ip_address("192.168.1.1"), networks)
