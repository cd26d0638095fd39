"""Pins, and what Auto stands for (C09)."""

import hashlib
from typing import Any

import pytest

from controller.api.status import Pinned
from controller.desired.plan import Target
from controller.planning import pin, spec_digest, target
from controller.service import Service

from .conftest import body_of


def service(spec: dict[str, Any], status: dict[str, Any] | None = None) -> Service:
    return Service.read({**body_of(spec), "status": status or {}})


def pinned_status(spec: dict[str, Any], **changes: Any) -> dict[str, Any]:
    pinned = {"spec": spec_digest(service(spec)), "defaults": 1, "image": "kiln-model:1"}
    return {"pinned": pinned | changes}


def test_c09_a_new_service_gets_the_newest_defaults() -> None:
    found = pin(service({}), "kiln-model:2")
    assert (found.defaults, found.image) == (1, "kiln-model:2")


def test_c09_a_newer_operator_changes_nothing() -> None:
    status = pinned_status({"warmup": {"steps": 4}})
    found = pin(service({"warmup": {"steps": 4}}, status), "kiln-model:2")
    assert found.image == "kiln-model:1"


@pytest.mark.parametrize("counted", [{"replicas": 3}, {"scaling": {"max": 3}}, {"suspend": True}])
def test_c09_the_number_of_pods_is_no_change_of_the_spec(counted: dict[str, Any]) -> None:
    found = pin(service(counted, pinned_status({})), "kiln-model:2")
    assert found.image == "kiln-model:1"
    roles: dict[str, Any] = {"encoder": {}, "denoiser": {}, "decoder": {}}
    before = pinned_status({"roles": roles})
    if "suspend" not in counted:
        roles = {**roles, "denoiser": counted}
    assert pin(service({"roles": roles}, before), "kiln-model:2").image == "kiln-model:1"


def test_c09_a_change_of_the_spec_brings_the_new_defaults() -> None:
    found = pin(service({"warmup": {"steps": 5}}, pinned_status({})), "kiln-model:2")
    assert found.image == "kiln-model:2"


def test_c09_a_field_that_a_later_operator_adds_is_no_change() -> None:
    said_nothing = hashlib.sha256(b"{}").hexdigest()[:16]
    assert spec_digest(service({})) == said_nothing, "its default must not be in the digest"


def test_c09_a_field_at_its_default_is_as_good_as_none() -> None:
    assert spec_digest(service({})) == spec_digest(service({"warmup": {"mode": "Server"}}))


def test_c09_defaults_of_a_later_operator_are_replaced() -> None:
    status = pinned_status({}, defaults=99)
    assert pin(service({}, status), "kiln-model:2") == Pinned(
        spec=spec_digest(service({})), defaults=1, image="kiln-model:2"
    )


@pytest.mark.parametrize(
    ("asked", "before", "kserve", "found"),
    [
        ("Auto", None, True, Target.KSERVE),
        ("Auto", None, False, Target.DEPLOYMENT),
        ("Auto", "Deployment", True, Target.DEPLOYMENT),
        ("Auto", "KServe", False, Target.KSERVE),
        ("Deployment", "KServe", True, Target.DEPLOYMENT),
        ("KServe", None, False, Target.KSERVE),
    ],
)
def test_c04_auto_is_decided_once(
    asked: str, before: str | None, kserve: bool, found: Target
) -> None:
    status = {"backend": before} if before else {}
    assert target(service({"backend": asked}, status), kserve=kserve) is found
