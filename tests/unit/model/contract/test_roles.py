"""W05: which roles have a warmup of their own."""

import pytest

from model.contract.roles import DISAGGREGATED, WORKERS, Role, RoleWarmup, warmup_of
from model.contract.warmup import WarmupMode


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("mode", [WarmupMode.SERVER, WarmupMode.REQUEST])
@pytest.mark.parametrize("role", ["encoder", "denoiser", "decoder"])
def test_w05_a_worker_has_no_warmup_whatever_was_set(
    role: str, mode: WarmupMode, explicit: bool
) -> None:
    expected = RoleWarmup(WarmupMode.OFF, DISAGGREGATED, overruled=explicit)
    assert warmup_of(Role(role), mode, explicit=explicit) == expected


@pytest.mark.parametrize("mode", WarmupMode)
@pytest.mark.parametrize("role", ["monolithic", "router"])
def test_w05_other_roles_keep_theirs(role: str, mode: WarmupMode) -> None:
    assert warmup_of(Role(role), mode, explicit=True) == RoleWarmup(mode)


@pytest.mark.parametrize("explicit", [False, True])
def test_w05_an_off_that_was_set_is_the_roles_all_the_same_and_overrules_nobody(
    explicit: bool,
) -> None:
    expected = RoleWarmup(WarmupMode.OFF, DISAGGREGATED)
    assert warmup_of(Role.ENCODER, WarmupMode.OFF, explicit=explicit) == expected


def test_every_role_is_a_worker_or_serves_users() -> None:
    assert set(Role) - WORKERS == {Role.MONOLITHIC, Role.ROUTER}
