"""What is rendered for both backends, to the letter (C04); and that no field of the spec is dead.

A change of these files restarts every pod that runs with these defaults: see the first revision in
controller/desired/defaults.py. ``KILN_GOLDEN=write`` writes them anew.
"""

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.api.base import RULES
from controller.api.validation import schema
from controller.desired.plan import Target
from controller.errors import InvalidService

from .rendering import FOLDER, SERVICES, given, rendered


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("name", SERVICES)
def test_c04_a_service_is_rendered_to_the_letter(name: str, target: Target) -> None:
    text = yaml.safe_dump_all(rendered(given(name), target), sort_keys=False, width=100)
    golden = FOLDER / f"golden/{name}.{target.lower()}.yaml"
    if os.environ.get("KILN_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_c04_each_golden_file_belongs_to_a_service() -> None:
    written = {path.name for path in Path(FOLDER / "golden").iterdir()}
    assert written == {f"{name}.{target.lower()}.yaml" for name in SERVICES for target in Target}


def fields(described: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of ours; a type of Kubernetes' own, or a reference, is one field."""
    for name, each in described.get("properties", {}).items():
        if "properties" in each and ("default" in each or RULES in each):
            yield from fields(each, (*path, name))
        else:
            yield (*path, name)


FIELDS = [
    path
    for path in fields(schema()["properties"]["spec"])
    # What a role says is the workload that the service says of itself.
    if path[0] != "roles" and path != ("backend",)
]


def without(body: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """A copy that lacks the field, or None where the service has none of it."""
    changed = copy.deepcopy(body)
    place = changed["spec"]
    for name in path[:-1]:
        if not isinstance(place.get(name), dict):
            return None
        place = place[name]
    return changed if place.pop(path[-1], None) is not None else None


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_c04_no_field_of_the_spec_is_dead(path: tuple[str, ...]) -> None:
    for name in SERVICES:
        body = given(name)
        changed = without(body, path)
        if changed is None:
            continue
        try:
            if any(rendered(body, each) != rendered(changed, each) for each in Target):
                return
        except InvalidService:
            return  # it is needed beside another field, which then has its effect
    pytest.fail(f"spec.{'.'.join(path)} changes nothing that is rendered, in no service")
