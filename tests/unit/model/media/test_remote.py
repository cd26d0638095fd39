"""Pictures by address, from real servers on addresses of the loopback. Each is a host of its own,
and a resolver of the test says which name leads where.
"""

import asyncio
import contextlib
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model.errors import InvalidRequest
from model.media.remote import LONGEST_URL, MOST_REDIRECTS, PictureFetcher
from model.settings import Settings
from tests.integration.support.certificates import self_signed

PICTURE = b"\x89PNG and so on"
# Of two hosts: the first may be asked, the other is inside, where nothing may be.
OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.3"
NETWORKS = f"{OUTSIDE}/32"


class Host:
    """Answers HTTP by ``answers``, bytes by path; hangs where there is none. ``asked``: the heads
    of requests.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.connections = 0
        self.port = 0

    def says(self, path: str, status: int, body: bytes = b"", **headers: str) -> None:
        fields = {"content-length": str(len(body)), **headers}
        head = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in fields.items())
        self.answers[path] = f"HTTP/1.1 {status} So\r\n{head}\r\n".encode() + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            path = head.split()[1]
            if path not in self.answers:
                await reader.read()  # until the other side goes
                return
            writer.write(self.answers[path])
            await writer.drain()


@contextlib.asynccontextmanager
async def listening(
    address: str, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Host]:
    host = Host()
    server = await asyncio.start_server(host.serve, address, port, ssl=tls)
    host.port = server.sockets[0].getsockname()[1]
    async with server:
        yield host


@pytest.fixture
async def outside() -> AsyncIterator[Host]:
    async with listening(OUTSIDE) as host:
        host.says("/fox.png", 200, PICTURE)
        yield host


@pytest.fixture
async def inside(outside: Host) -> AsyncIterator[Host]:
    """On the same port, so that only the address tells them apart."""
    async with listening(INSIDE, outside.port) as host:
        host.says("/fox.png", 200, b"a secret")
        yield host
        assert not host.connections


class Names:
    """A resolver: each time a name is asked for, its next addresses; the last ones stay."""

    def __init__(self, **zone: list[list[str]]) -> None:
        self._zone = {name.replace("_", "."): answers for name, answers in zone.items()}
        self.asked: dict[str, int] = defaultdict(int)

    async def __call__(self, host: str, port: int) -> list[str]:
        if host not in self._zone:
            raise OSError("no such name")
        answers = self._zone[host]
        found = answers[min(self.asked[host], len(answers) - 1)]
        self.asked[host] += 1
        return found


NAMES = {"pictures_test": [[OUTSIDE]], "private_test": [[INSIDE]], "both_test": [[OUTSIDE, INSIDE]]}


def fetcher(port: int, names: Names | None = None, **settings: object) -> PictureFetcher:
    hosts = "pictures.test", "private.test", "both.test", "rebound.test", "nowhere.test"
    chosen: dict[str, object] = {
        "image_url_hosts": ",".join(f"http://{each}:{port}" for each in hosts),
        "image_url_networks": NETWORKS,
        "image_url_timeout": 30.0,
        **settings,
    }
    return PictureFetcher(Settings.model_validate(chosen), names or Names(**NAMES))


async def refusal(fetching: PictureFetcher, url: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        await fetching.fetch(url, "image")
    assert caught.value.field == "image"
    return caught.value.problem


def url(host: Host, path: str = "/fox.png", name: str = "pictures.test") -> str:
    return f"http://{name}:{host.port}{path}"


async def test_a_picture_is_fetched_from_a_host_of_the_list(outside: Host) -> None:
    outside.says("/a%20b.png?size=2", 200, PICTURE)
    fetching = fetcher(outside.port)
    assert await fetching.fetch(url(outside, "/a%20b.png?size=2#part"), "image") == PICTURE
    (head,) = outside.asked
    assert f"Host: pictures.test:{outside.port}\r\n" in head
    assert "Accept-Encoding: identity\r\n" in head
    assert "ookie" not in head
    assert "uthorization" not in head


async def test_without_a_list_nothing_is_fetched(outside: Host) -> None:
    problem = await refusal(PictureFetcher(Settings(), Names(**NAMES)), url(outside))
    assert problem == (
        "is an address, and this server fetches nothing: send the picture itself, as base64"
    )
    assert not outside.connections


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://other.test:{port}/fox.png", "on a host that this server does not fetch from"),
        ("http://pictures.test/fox.png", "on a host that this server does not fetch from"),
        ("https://pictures.test:{port}/fox.png", "on a host that this server does not fetch from"),
        ("http://pictures.test.evil.test:{port}/", "on a host that this server does not fetch"),
        ("http://127.0.0.2:{port}/fox.png", "on a host that this server does not fetch from"),
        ("http://user@pictures.test:{port}/", "with a name or a password in it"),
        ("http://evil.test\\@pictures.test:{port}/", "signs in it that belong percent-encoded"),
        ("http://pictures.test:{port}/a b", "signs in it that belong percent-encoded"),
        ("http://pictures.test:{port}/\r\nHost: a", "signs in it that belong percent-encoded"),
        ("http://pictüres.test:{port}/", "signs in it that belong percent-encoded"),
        ("http://pictures.test:99999/", "cannot be read"),
        ("http://[pictures.test:{port}/", "cannot be read"),
        ("ftp://pictures.test:{port}/", "no address of http or https"),
        ("http:///fox.png", "no address of http or https"),
        ("http://pictures.test:{port}/" + "a" * LONGEST_URL, "more than 2048 characters"),
    ],
)
async def test_other_addresses_are_refused_unasked(outside: Host, address: str, words: str) -> None:
    names = Names(**NAMES)
    assert words in await refusal(fetcher(outside.port, names), address.format(port=outside.port))
    assert not outside.connections
    assert not names.asked


@pytest.mark.parametrize("name", ["private.test", "both.test"])
async def test_a_host_of_the_list_with_a_private_address_is_refused(
    outside: Host, inside: Host, name: str
) -> None:
    """One is enough: which of them is asked is not up to whoever owns the name."""
    problem = await refusal(fetcher(outside.port), url(outside, name=name))
    assert problem.startswith("is an address on a host that is not public")
    assert not outside.connections


async def test_a_name_that_is_bound_anew_leads_nowhere_else(outside: Host, inside: Host) -> None:
    """Its first answer is what was checked, and what is asked."""
    names = Names(rebound_test=[[OUTSIDE], [INSIDE]])
    fetching = fetcher(outside.port, names)
    assert await fetching.fetch(url(outside, name="rebound.test"), "image") == PICTURE
    assert names.asked == {"rebound.test": 1}
    # Asked for again, it is checked again.
    assert "is not public" in await refusal(fetching, url(outside, name="rebound.test"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(outside: Host, status: int) -> None:
    outside.says("/old", status, location="/fox.png")
    assert await fetcher(outside.port).fetch(url(outside, "/old"), "image") == PICTURE


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://other.test:{port}/fox.png", "does not fetch from"),
        ("http://private.test:{port}/fox.png", "is not public"),
        (f"http://{INSIDE}:{{port}}/fox.png", "does not fetch from"),
        ("//private.test:{port}/fox.png", "is not public"),
        ("https://pictures.test:{port}/fox.png", "does not fetch from"),
        ("file:///etc/passwd", "no address of http or https"),
    ],
)
async def test_a_redirect_is_checked_as_the_first_address_is(
    outside: Host, inside: Host, location: str, words: str
) -> None:
    outside.says("/old", 302, location=location.format(port=outside.port))
    assert words in await refusal(fetcher(outside.port), url(outside, "/old"))


async def test_redirects_come_to_an_end(outside: Host) -> None:
    outside.says("/round", 302, location="/round")
    problem = await refusal(fetcher(outside.port), url(outside, "/round"))
    assert "redirects more than 3 times" in problem
    assert len(outside.asked) == 1 + MOST_REDIRECTS


@pytest.mark.parametrize(("status", "headers"), [(404, {}), (500, {}), (302, {}), (206, {})])
async def test_any_other_answer_is_refused(
    outside: Host, status: int, headers: dict[str, str]
) -> None:
    outside.says("/other", status, b"a secret", **headers)
    problem = await refusal(fetcher(outside.port), url(outside, "/other"))
    assert problem.startswith(f"is an address that answers {status}: send the picture itself")


async def test_more_than_a_body_may_have_is_not_read(outside: Host) -> None:
    """Neither where the host says so, nor where it does not."""
    outside.says("/large", 200, bytes(5000))
    outside.answers["/endless"] = b"HTTP/1.1 200 So\r\n\r\n" + bytes(1_000_000)
    for path in ("/large", "/endless"):
        problem = await refusal(fetcher(outside.port, max_body_bytes=4096), url(outside, path))
        assert problem.endswith("the pictures of a request may have 4096 bytes in all")


async def test_the_pictures_of_a_request_share_the_bound(outside: Host) -> None:
    outside.says("/half", 200, bytes(3000))
    fetching = fetcher(outside.port, max_body_bytes=4096)
    assert len(await fetching.fetch(url(outside, "/half"), "image")) == 3000
    assert "4096 bytes in all" in await refusal(fetching, url(outside, "/half"))


async def test_a_host_that_does_not_end_its_answer_is_left(outside: Host) -> None:
    outside.answers["/slow"] = b"HTTP/1.1 200 So\r\ncontent-length: 100\r\n\r\nsome"
    outside.answers["/cut"] = outside.answers["/slow"]
    problem = await refusal(fetcher(outside.port, image_url_timeout=0.2), url(outside, "/none"))
    assert problem.startswith("is an address that did not answer in 0.2 s")
    problem = await refusal(fetcher(outside.port), url(outside, "/cut"))
    assert problem.startswith("is an address that does not answer")


async def test_the_pictures_of_a_request_share_the_time(outside: Host) -> None:
    fetching = fetcher(outside.port, image_url_timeout=0.3)
    assert "0.3 s" in await refusal(fetching, url(outside, "/none"))
    assert "0.3 s" in await refusal(fetching, url(outside))


@pytest.mark.parametrize("name", ["nowhere.test", "pictures.test"])
async def test_who_is_not_there_and_who_has_no_name_look_the_same(outside: Host, name: str) -> None:
    """So that nobody maps a network by asking."""
    async with listening(OUTSIDE) as other:
        pass
    problem = await refusal(fetcher(other.port), f"http://{name}:{other.port}/")
    assert problem.startswith("is an address that does not answer: send the picture itself")


async def test_an_answer_that_is_no_http_is_refused(outside: Host) -> None:
    outside.answers["/ssh"] = b"SSH-2.0-OpenSSH_9.2\r\n"
    assert "does not answer" in await refusal(fetcher(outside.port), url(outside, "/ssh"))


async def test_an_address_may_be_written_without_a_name_where_every_host_is_allowed() -> None:
    """The machine's own resolver knows numbers, in every spelling."""
    settings = Settings.model_validate({"image_url_hosts": "*"})
    for host in ("127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
        problem = await refusal(PictureFetcher(settings), f"https://{host}/")
        assert problem.startswith("is an address on a host that is not public"), host


async def test_a_name_that_is_none_is_refused() -> None:
    settings = Settings.model_validate({"image_url_hosts": "*"})
    problem = await refusal(PictureFetcher(settings), f"https://{'a' * 70}.test/")
    assert problem.startswith("is an address that does not answer")


@pytest.mark.parametrize(("name", "trusted"), [("pictures.test", True), ("other.test", False)])
async def test_tls_is_checked_by_the_name_and_not_by_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool
) -> None:
    certificate, key = self_signed(tmp_path, dns=name)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with listening(OUTSIDE, tls=tls) as host:
        host.says("/fox.png", 200, PICTURE)
        fetching = fetcher(host.port, image_url_hosts=f"pictures.test:{host.port}")
        asked = f"https://pictures.test:{host.port}/fox.png"
        if trusted:
            assert await fetching.fetch(asked, "image") == PICTURE
        else:
            assert "does not answer" in await refusal(fetching, asked)
            assert not host.asked
