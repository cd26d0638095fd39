"""What ``serve --role all`` starts: which process gets which settings."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import pytest

from model.commands import serve
from model.commands.chain import Member, members_of, replicas_of, told
from model.commands.parser import Parser
from model.contract.roles import DISAGGREGATED, Role
from model.contract.warmup import WarmupMode
from model.errors import InvalidSettings
from model.settings import Settings
from model.transport.addresses import Listed
from model.transport.configured import addresses
from tests.integration.support.certificates import self_signed


def given(*flags: str) -> argparse.Namespace:
    parser = Parser()
    serve.add(parser.add_subparsers())
    return parser.parse_args(["serve", "--role", "all", *flags])


def started(*flags: str, environment: Mapping[str, str] = {}) -> tuple[Member, ...]:
    return members_of(given(*flags), environment)


def settings_of(members: tuple[Member, ...]) -> dict[str, Settings]:
    return {each.name: each.resolved.settings for each in members}


def refusal(*flags: str) -> str:
    with pytest.raises(InvalidSettings) as refused:
        started(*flags)
    return str(refused.value)


def test_one_of_each_and_a_router_that_finds_them() -> None:
    found = settings_of(started())
    assert list(found) == ["encoder", "denoiser", "decoder", "router"]
    assert [each.role for each in found.values()] == [*list(Role)[1:4], Role.ROUTER]
    router = found.pop("router")
    for role, settings in zip(list(Role)[1:4], found.values(), strict=True):
        listed = addresses(router, role)
        assert isinstance(listed, Listed)
        ((host, port),) = [(each.host, each.port) for each in listed.addresses]
        assert (host, port) == ("127.0.0.1", settings.grpc_port)
    ports = [port for each in found.values() for port in (each.http_port, each.grpc_port)]
    assert len(set(ports)) == len(ports)
    assert (router.http_port, router.grpc_port) == (8080, 8081)


def test_replicas_by_number() -> None:
    found = settings_of(started("--replicas", "denoiser=2, encoder=1"))
    assert list(found) == ["encoder", "denoiser-1", "denoiser-2", "decoder", "router"]
    listed = addresses(found["router"], Role.DENOISER)
    assert isinstance(listed, Listed)
    assert {each.port for each in listed.addresses} == {
        found[f"denoiser-{number}"].grpc_port for number in (1, 2)
    }


@pytest.mark.parametrize(
    "written", ["denoiser", "denoiser=0", "denoiser=65", "router=2", "denoiser=-1", "x=1", "=2"]
)
def test_replicas_that_are_none(written: str) -> None:
    with pytest.raises(
        InvalidSettings, match=r"^replicas: .* must be ROLE=COUNT,\.\.\., of encoder"
    ):
        replicas_of(written)


def test_settings_reach_all_and_those_of_users_only_the_router(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    members = started(
        *("--model", "/models/fox", "--host", "127.0.0.2", "--http-port", "9000"),
        *("--warmup-resolutions", "64x64", "--ssl-certfile", str(certificate)),
        *("--ssl-keyfile", str(key), "--enable-grpc", "false", "--queue-size", "7"),
        environment={"KILN_TORCH_THREADS": "3", "KILN_WARMUP_STEPS": "4"},
    )
    *workers, router = [each.resolved for each in members]
    for each in (*workers, router):
        settings = each.settings
        assert (settings.model, settings.torch_threads) == ("/models/fox", 3)
        assert settings.queue_size == 7
        assert each.warnings == ()
    for each in workers:
        settings = each.settings
        assert (settings.host, settings.tls, settings.enable_grpc) == ("127.0.0.1", False, True)
        assert (settings.warmup_mode, settings.warmup_steps) == (WarmupMode.OFF, 2)
        assert each.sources["warmup_mode"] == DISAGGREGATED
    assert (router.settings.host, router.settings.http_port) == ("127.0.0.2", 9000)
    assert (router.settings.tls, router.settings.warmup_steps) == (True, 4)
    assert str(router.settings.warmup_resolutions[0]) == "64x64"


@pytest.mark.parametrize(
    ("flags", "told_of"),
    [
        (("--denoisers", "127.0.0.1:1"), "denoisers (flag): --role all starts the other roles"),
        (("--role-ca-file", "x.pem"), "role_ca_file (flag): --role all starts"),
        (("--engines", "2"), "engines (flag): a server of role router has no engine"),
        (("--warmup-mode", "often"), "warmup_mode (flag)"),
    ],
)
def test_what_a_chain_cannot_have_is_named(flags: tuple[str, ...], told_of: str) -> None:
    assert told_of in refusal(*flags)


def test_one_server_has_no_replicas() -> None:
    alone = given("--replicas", "denoiser=2")
    alone.role = "decoder"
    with pytest.raises(InvalidSettings, match="replicas: only --role all starts several"):
        serve.run(alone)


def test_what_is_told_is_what_is_started() -> None:
    members = started("--http-port", "9000", "--replicas", "decoder=2")
    text = told(members)
    for each in members:
        assert each.name in text
        assert str(each.resolved.settings.grpc_port) in text
    assert "curl -i http://localhost:9000/v2/health/ready" in text
