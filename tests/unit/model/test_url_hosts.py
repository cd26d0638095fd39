"""The list of hosts: what a word of it allows, and what is no word of it."""

import pytest

from model.errors import InvalidSettings
from model.settings import Settings
from model.url_hosts import UrlHost
from tests.unit.model.configuration.support import resolved


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("pictures.example.org", "https://pictures.example.org"),
        ("https://Pictures.Example.org:443", "https://pictures.example.org"),
        ("pictures.example.org:8443", "https://pictures.example.org:8443"),
        ("http://minio.default.svc:9000", "http://minio.default.svc:9000"),
        ("http://minio", "http://minio"),
        ("*.example.org", "https://*.example.org"),
        ("*", "https://*"),
    ],
)
def test_hosts_are_written_in_one_way(text: str, written: str) -> None:
    assert str(UrlHost.parse(text)) == written
    assert UrlHost.parse(written) == UrlHost.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "ftp://a", "https://a/path", "a b", "a*", "*a.org", "a..b", "a:", "a:0", "u@a", "[::1]"],
)
def test_what_is_no_host_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match="is no host; write HOST"):
        UrlHost.parse(text)


@pytest.mark.parametrize(
    ("rule", "asked", "allowed"),
    [
        ("a.org", ("https", "a.org", 443), True),
        ("a.org", ("http", "a.org", 80), False),
        ("a.org", ("https", "a.org", 8443), False),
        ("a.org", ("https", "b.a.org", 443), False),
        ("*.a.org", ("https", "b.a.org", 443), True),
        ("*.a.org", ("https", "c.b.a.org", 443), True),
        ("*.a.org", ("https", "a.org", 443), False),
        ("*.a.org", ("https", "evila.org", 443), False),
        ("*", ("https", "anything", 443), True),
        ("http://a.org", ("http", "a.org", 80), True),
        ("http://a.org", ("https", "a.org", 443), False),
    ],
)
def test_what_a_rule_allows(rule: str, asked: tuple[str, str, int], allowed: bool) -> None:
    assert UrlHost.parse(rule).allows(*asked) == allowed


def test_the_settings_take_lists() -> None:
    found = resolved(
        *("--image-url-hosts", "a.org, *.b.org"),
        *("--image-url-networks", "10.0.0.0/8,fd00::/8"),
    ).settings
    assert [str(each) for each in found.image_url_hosts] == ["https://a.org", "https://*.b.org"]
    assert [str(each) for each in found.image_url_networks] == ["10.0.0.0/8", "fd00::/8"]
    assert Settings().image_url_hosts == ()


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--image-url-hosts", "a.org/path", "image_url_hosts.*is no host"),
        ("--image-url-networks", "10.0.0.1/8", "image_url_networks.*host bits"),
        ("--image-url-networks", "cluster", "image_url_networks"),
    ],
)
def test_settings_that_are_wrong_are_named(flag: str, value: str, words: str) -> None:
    with pytest.raises(InvalidSettings, match=words):
        resolved(flag, value)
