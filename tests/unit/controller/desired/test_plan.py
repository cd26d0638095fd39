"""Which parts there are, and what follows for each."""

import pytest

from controller.api.spec import Rollout
from controller.desired.limits import NameTooLong, check_names
from controller.desired.plan import Target
from model.contract.roles import Role

from ..conftest import PlanOf

ROLES = {"encoder": {}, "denoiser": {}, "decoder": {}}


def test_c02_roles_are_workers_behind_a_router(plan_of: PlanOf) -> None:
    plan = plan_of({"roles": ROLES})
    assert [each.role for each in plan.parts] == [
        Role.ROUTER,
        Role.ENCODER,
        Role.DENOISER,
        Role.DECODER,
    ]
    assert [each.name for each in plan.parts] == [
        "fox",
        "fox-encoder",
        "fox-denoiser",
        "fox-decoder",
    ]
    assert [each.is_front for each in plan.parts] == [True, False, False, False]


def test_c04_only_the_front_is_kserves(plan_of: PlanOf) -> None:
    plan = plan_of({"roles": ROLES}, Target.KSERVE)
    names = [plan.deployment_name(each) for each in plan.parts]
    assert names == ["fox-predictor", "fox-encoder", "fox-denoiser", "fox-decoder"]


@pytest.mark.parametrize(
    ("resources", "rollout"),
    [
        ({}, Rollout.SURGE),
        ({"limits": {"nvidia.com/gpu": 1}}, Rollout.RESOURCE_AWARE),
        ({"requests": {"amd.com/gpu": "2"}}, Rollout.RESOURCE_AWARE),
        ({"limits": {"nvidia.com/mig-1g.10gb": 1}}, Rollout.RESOURCE_AWARE),
        ({"limits": {"nvidia.com/gpu": 0}}, Rollout.SURGE),
        ({"limits": {"example.org/licence": 1}}, Rollout.SURGE),
    ],
)
def test_c16_pods_with_gpus_make_room_first(
    plan_of: PlanOf, resources: dict[str, object], rollout: Rollout
) -> None:
    plan = plan_of({"resources": resources})
    assert plan.rollout(plan.front) is rollout


def test_c16_what_the_spec_says_goes_first(plan_of: PlanOf) -> None:
    plan = plan_of({"rollout": "Surge", "resources": {"limits": {"nvidia.com/gpu": 1}}})
    assert plan.rollout(plan.front) is Rollout.SURGE


def test_c14_names_fit_kserves_dns_label_to_the_letter(plan_of: PlanOf) -> None:
    fits = {"name": "a" * 20, "namespace": "b" * 32}
    check_names(plan_of({}, Target.KSERVE, **fits))
    longer = {**fits, "name": "a" * 21}
    check_names(plan_of({}, Target.DEPLOYMENT, **longer))
    with pytest.raises(NameTooLong, match="1 characters longer than the 63"):
        check_names(plan_of({}, Target.KSERVE, **longer))
