"""The CRD as people and tools meet it (C06)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from controller.api.definition import COLUMNS
from controller.api.structural import structural_schema, without_descriptions
from controller.api.validation import CRD_FILE
from model.contract.flags import OPERATOR_FLAGS
from tools.reference import diffusionservice

CRD = diffusionservice.crd()
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
LARGEST_ANNOTATION = 262_144


def own_fields(described: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, each in described.get("properties", {}).items():
        yield f"{path}.{name}", each
        inner = each.get("items", each)
        if "default" in each or "x-kubernetes-validations" in inner:
            yield from own_fields(inner, f"{path}.{name}")


def test_c06_every_field_of_ours_explains_itself() -> None:
    for part in ("spec", "status"):
        for place, described in own_fields(SCHEMA["properties"][part], part):
            assert described.get("description", "").endswith("."), place


def test_c06_the_columns_are_those_that_were_promised() -> None:
    narrow = [name for name, _, _, priority in COLUMNS if priority == 0]
    assert narrow == ["Model", "Ready", "Reason", "Replicas", "URL"]
    assert [name for name, _, _, priority in COLUMNS if priority] == ["Warmup", "Roles", "Message"]
    assert CRD["spec"]["versions"][0]["additionalPrinterColumns"][-1]["name"] == "Age"


def test_c06_it_has_a_short_name_categories_and_subresources() -> None:
    assert CRD["spec"]["names"]["shortNames"] == ["dsvc"]
    assert CRD["spec"]["names"]["categories"] == ["all", "serving"]
    scale = CRD["spec"]["versions"][0]["subresources"]["scale"]
    assert scale["specReplicasPath"] == ".spec.replicas"
    # kubectl scale fails where the field is absent.
    assert SCHEMA["properties"]["spec"]["properties"]["replicas"]["default"] == 1


def test_c14_the_operator_validates_with_the_crd_that_is_applied() -> None:
    packaged = json.loads(CRD_FILE.read_text(encoding="utf-8"))
    assert packaged == without_descriptions(CRD)


def test_kubectl_apply_can_keep_the_crd_in_its_annotation() -> None:
    assert len(json.dumps(CRD)) < LARGEST_ANNOTATION


def test_c14_the_rule_of_extra_arguments_names_every_flag() -> None:
    runtime = SCHEMA["properties"]["spec"]["properties"]["runtime"]["properties"]
    (rule,) = runtime["extraArgs"]["x-kubernetes-validations"]
    assert all(f"--{each}" in rule["message"] for each in OPERATOR_FLAGS)


def test_a_field_with_alternatives_has_no_structural_schema() -> None:
    class Undecided(BaseModel):
        value: int | list[int] = 1

    with pytest.raises(ValueError, match="no alternatives"):
        structural_schema(Undecided, lambda kind, fields: {})
