"""What ``validate`` accepts, fills in and says. tests/contract/refused.yaml has what it refuses."""

from typing import Any

import pytest

from controller.api import names
from controller.api.validation import schema, validated, with_defaults
from controller.errors import InvalidService


def body(**changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "fox"},
        "spec": {},
    } | changes


def test_c14_an_empty_spec_gets_all_defaults() -> None:
    spec = validated(body())["spec"]
    assert spec["model"] == {"uri": "embedded://", "dtype": "auto"}
    assert spec["warmup"]["mode"] == "Server"
    assert spec["replicas"] == 1


def test_c14_defaults_reach_into_what_is_given() -> None:
    spec = validated(body(spec={"warmup": {"steps": 4}, "scaling": {"max": 3}}))["spec"]
    assert spec["warmup"] == {
        "steps": 4,
        "mode": "Server",
        "onFailure": "Abort",
        "timeout": "20m",
        "unwarmedShapes": "Allow",
    }
    assert spec["scaling"]["min"] == 1


def test_c14_null_is_absent_where_there_is_a_default() -> None:
    assert validated(body(spec={"backend": None}))["spec"]["backend"] == "Auto"


def test_c14_what_is_given_is_not_changed() -> None:
    given = body(spec={"warmup": {}})
    with_defaults(given, schema())
    assert given["spec"] == {"warmup": {}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "DiffusionServices"}, "kind: is 'DiffusionServices'; write kind: Diff"),
        ({"apiVersion": "kiln.dev/v1"}, "apiVersion: is 'kiln.dev/v1'; write apiVersion: kiln"),
        ({"metadata": {}}, "metadata.name: Required value"),
        ({"spec": None}, "spec: Required value"),
        ({"specs": {}}, 'unknown field "specs"; did you mean spec?'),
    ],
)
def test_c14_an_object_of_another_form_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidService, match=says.replace("?", r"\?")):
        validated(body(**changes))


def test_c14_every_problem_is_told_at_once() -> None:
    with pytest.raises(InvalidService) as refusal:
        validated(body(spec={"replicas": -1, "backend": "x", "modle": {}}))
    assert len(refusal.value.problems) == 3


@pytest.mark.parametrize("amount", [4, "4", "500m", "1.5", "64Gi", "1e3"])
def test_c14_quantities_are_numbers_or_texts(amount: Any) -> None:
    validated(body(spec={"resources": {"limits": {"cpu": amount}}}))


@pytest.mark.parametrize(
    "uri",
    [
        "embedded://",
        "hf://black-forest-labs/FLUX.1-dev@refs/pr/1",
        "s3://bucket/path/to",
        "gs://bucket/path",
        "oci://registry.example:5000/flux@sha256:abc",
        "pvc://weights",
        "pvc://weights/flux/v1",
    ],
)
def test_c14_every_kind_of_address_is_accepted(uri: str) -> None:
    assert validated(body(spec={"model": {"uri": uri}}))["spec"]["model"]["uri"] == uri
