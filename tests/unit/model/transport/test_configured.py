"""Each setting of the roles arrives where it acts."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from model.contract.roles import WORKERS, Role
from model.errors import InvalidSettings
from model.settings import Settings
from model.transport import configured
from model.transport.addresses import Address, Listed, Named
from model.transport.configured import AT_ONCE
from model.transport.payload import Bounds


def test_every_setting_of_the_router(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("fox")
    found = configured.pool_options(
        Settings(
            role=Role.ROUTER, role_token_file=token, role_ca_file=token, stage_max_bytes=4096,
            stage_max_tensors=5, replica_check_interval=2, replica_max_stages=3, replica_wait=4,
            queue_size=6, startup_timeout=7,
        )
    )  # fmt: skip
    assert found.bounds == Bounds(4096, 5)
    assert (found.security.tokens, found.security.roots) == ((b"fox",), b"fox")
    assert (found.check_seconds, found.most_each, found.wait_seconds) == (2, 3, 4)
    assert (found.most_waiting, found.prove_seconds) == (AT_ONCE, 7), "the queue is before them"


async def test_where_each_role_is() -> None:
    settings = Settings(
        role=Role.ROUTER, encoders="dns://e:1", denoisers="d:2,d:3", decoders="[::1]:4"
    )
    assert isinstance(configured.addresses(settings, Role.ENCODER), Named)
    assert configured.addresses(settings, Role.DENOISER) == Listed(
        frozenset({Address("d", 2, "d"), Address("d", 3, "d")})
    )
    assert configured.addresses(settings, Role.DECODER) == Listed(
        frozenset({Address("::1", 4, "::1")})
    )


@pytest.mark.parametrize("role", sorted(WORKERS))
def test_a_router_that_does_not_know_a_role(role: Role) -> None:
    with pytest.raises(InvalidSettings, match=rf"^{role}s: .*--{role}s dns://"):
        configured.addresses(Settings(role=Role.ROUTER), role)
    with pytest.raises(InvalidSettings, match=rf"^{role}s: 'fox' is no HOST:PORT"):
        configured.addresses(Settings(role=Role.ROUTER, **{f"{role}s": "fox"}), role)


@pytest.mark.parametrize("role", sorted(WORKERS | {Role.MONOLITHIC}))
def test_only_a_router_sends_stages(role: Role) -> None:
    with pytest.raises(ValidationError, match="decoders: only a router sends stages"):
        Settings(role=role, decoders="d:1")
