"""Discovery, by a real DNS server on the loopback whose answers the test changes."""

import asyncio
from collections.abc import AsyncIterator

import dns.asyncresolver
import pytest

from model.errors import InvalidSettings
from model.transport.addresses import Address, Listed, Named, Unresolved, parse
from tests.unit.model.transport.name_server import NameServer, name_server

NAME = "fox-denoiser.models.svc.cluster.local"


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with name_server() as running:
        yield running


async def found(names: NameServer, name: str = NAME, **search: object) -> set[str]:
    resolver = names.resolver()
    for key, value in search.items():
        setattr(resolver, key, value)
    return {str(each) for each in await Named(name, 8081, resolver).now()}


async def test_every_address_of_the_name_and_of_both_families(names: NameServer) -> None:
    names.zone[NAME] = ["10.0.0.1", "10.0.0.2", "fd00::7"]
    assert await found(names) == {"10.0.0.1:8081", "10.0.0.2:8081", "[fd00::7]:8081"}


async def test_each_question_is_asked_anew(names: NameServer) -> None:
    """No cache of ours keeps a pod that is gone."""
    named = Named(NAME, 8081, names.resolver())
    for hosts in (["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.2"], []):
        names.zone[NAME] = hosts
        assert {each.host for each in await named.now()} == set(hosts)


async def test_no_pod_is_an_answer_whether_the_name_is_there_or_not(names: NameServer) -> None:
    assert await found(names) == set(), "NXDOMAIN"
    names.zone[NAME] = []
    assert await found(names) == set(), "no records"


async def test_a_server_that_fails_says_nothing_about_the_pods(names: NameServer) -> None:
    names.failing = True
    with pytest.raises(Unresolved, match=NAME):
        await found(names)


async def test_a_server_that_never_answers_for_one_family(names: NameServer) -> None:
    names.zone[NAME] = ["10.0.0.1"]
    names.failing_for = {"AAAA"}
    assert await found(names) == {"10.0.0.1:8081"}
    names.failing_for = {"A"}
    with pytest.raises(Unresolved):
        await found(names)


async def test_many_pods_come_over_tcp(names: NameServer) -> None:
    """What does not fit into a datagram is asked for again."""
    names.zone[NAME] = [f"10.0.{n // 250}.{n % 250}" for n in range(600)]
    assert len(await found(names)) == 600
    assert names.over_tcp


async def test_the_search_list_of_a_cluster_applies(names: NameServer) -> None:
    names.zone[NAME] = ["10.0.0.1"]
    searched = [dns.name.from_text(each) for each in ("models.svc.cluster.local", "cluster.local")]
    assert await found(names, "fox-denoiser", search=searched, ndots=5) == {"10.0.0.1:8081"}
    assert await found(names, "fox-denoiser.models.svc", search=searched, ndots=5) == {
        "10.0.0.1:8081"
    }


async def test_the_certificate_is_for_the_name(names: NameServer) -> None:
    names.zone[NAME] = ["10.0.0.1"]
    assert await Named(NAME, 1, names.resolver()).now() == {Address("10.0.0.1", 1, NAME)}


async def test_a_list_stays() -> None:
    listed = parse("a:1, b.example:65535,[::1]:3", "encoders")
    assert isinstance(listed, Listed)
    assert await listed.now() == {
        Address("a", 1, "a"), Address("b.example", 65535, "b.example"), Address("::1", 3, "::1"),
    }  # fmt: skip
    assert {each.target for each in await listed.now()} == {"a:1", "b.example:65535", "[::1]:3"}


def test_a_name_is_asked_for() -> None:
    assert isinstance(parse("dns://fox-encoder:8081", "encoders"), Named)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a:", ":1", "a:0", "a:65536", "a:x", "a:1,", "a:1,,b:2", "a:²"),
        *("dns://", "dns://a", "dns://a:b", "::1:x", "http://a", "gg::1:80"),
    ],
)
def test_what_is_no_address_is_named_with_its_setting(text: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^encoders: .*(HOST:PORT|IPv6)"):
        parse(text, "encoders")


async def test_questions_at_the_same_time(names: NameServer) -> None:
    names.zone[NAME] = ["10.0.0.1"]
    many = await asyncio.gather(*(found(names) for _ in range(20)))
    assert many == [{"10.0.0.1:8081"}] * 20
