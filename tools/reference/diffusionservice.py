"""The CRD, the schema of editors, and the reference page of DiffusionService, from its models."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from controller.api import names
from controller.api.base import RULES, Object
from controller.api.core_types import core_schema
from controller.api.definition import COLUMNS, definition
from controller.api.structural import without_descriptions

from ..yaml_text import yaml_text
from .tables import table

HEADER: Final = ("field", "value", "default", "meaning")
INTRODUCTION: Final = f"""# DiffusionService

<!-- Generated from controller/api by `make generate`. -->

`apiVersion: {names.API_VERSION}`, `kind: {names.KIND}`; `kubectl get {names.SHORT_NAMES[0]}` for
short. Everything but `spec` itself has a default: `spec: {{}}` serves the embedded model. Unknown
fields and values that do not fit are refused when the object is applied, and so are combinations
that make no sense; [Rules](#rules) lists those. `kubectl explain {names.SHORT_NAMES[0]}.spec`
shows the same texts as this page.

Durations are written like `90s`, `20m` or `1h30m`. *Kubernetes* marks a field that holds a type of
Kubernetes' own; `kubectl explain pod.spec` describes those.

"""
EDITORS: Final = "https://json-schema.org/draft/2020-12/schema"


@cache
def crd() -> Object:
    """The CustomResourceDefinition."""
    return definition(core_schema)


def crd_yaml() -> str:
    """For ``kubectl apply``."""
    return "# Generated from controller/api by `make generate`.\n" + yaml_text(crd())


def crd_json() -> str:
    """For the operator itself, which validates with it."""
    return json.dumps(without_descriptions(crd()), separators=(",", ":")) + "\n"


def editor_schema() -> str:
    """Draft 2020-12, closed: an editor marks unknown fields."""
    schema = _closed(_object_schema())
    described = {
        "$schema": EDITORS,
        "title": f"{names.KIND} {names.API_VERSION}",
        **schema,
        "required": ["apiVersion", "kind", "metadata", "spec"],
    }
    described["properties"]["apiVersion"] = {"const": names.API_VERSION}
    described["properties"]["kind"] = {"const": names.KIND}
    described["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return json.dumps(described, separators=(",", ":")) + "\n"


def page() -> str:
    """The reference page."""
    properties = _object_schema()["properties"]
    parts = [INTRODUCTION]
    for part in ("spec", "status"):
        parts.append(f"## {part}\n\n")
        parts.append(table(HEADER, _rows(properties[part], part)) + "\n")
    parts.append("## Rules\n\n")
    parts.extend(f"- {message}\n" for message in dict.fromkeys(_messages(_object_schema())))
    parts.append("\n## Columns of `kubectl get`\n\n")
    parts.append(table(("column", "meaning", ""), [_column(*each) for each in COLUMNS]))
    return "".join(parts)


def _object_schema() -> Object:
    found: Object = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def _column(name: str, _: str, meaning: str, priority: int) -> tuple[str, str, str]:
    return name, meaning, "with `-o wide`" if priority else ""


def _rows(described: Object, path: str) -> Iterator[tuple[str, ...]]:
    for name, each in described["properties"].items():
        place = f"{path}.{name}"
        required = name in described.get("required", ())
        yield (
            f"`{place}`",
            _value(each),
            "**required**" if required else _default(each),
            each.get("description", ""),
        )
        inner = each.get("items", each)
        if "description" not in next(iter(inner.get("properties", {}).values()), {}):
            continue  # a type of Kubernetes' own, or no object
        yield from _rows(inner, f"{place}[]" if "items" in each else place)


def _value(described: Object) -> str:
    if "enum" in described:
        return ", ".join(f"`{each}`" for each in described["enum"])
    if described.get("x-kubernetes-int-or-string"):
        return "number or quantity"
    kind: str = described["type"]
    if kind == "array":
        return f"list of {_value(described['items'])}"
    if kind == "object" and "additionalProperties" in described:
        return f"mapping to {_value(described['additionalProperties'])}"
    if kind == "object":
        own = any("description" in each for each in described["properties"].values())
        return "object" if own else "*Kubernetes*"
    if kind == "string":
        return "text"
    low, high = described.get("minimum"), described.get("maximum")
    return kind + (f", {low} to {high}" if low is not None and high is not None else "")


def _default(described: Object) -> str:
    default = described.get("default")
    return "" if default is None or isinstance(default, dict) else f"`{json.dumps(default)}`"


def _messages(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for rule in node.get(RULES, ()):
            yield rule["message"]
        for each in node.values():
            yield from _messages(each)


def _closed(node: Any) -> Any:
    """With ``additionalProperties: false``, and Kubernetes' extensions as plain JSON schema."""
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _closed(each) for key, each in node.items() if not key.startswith("x-")}
    if node.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        made["additionalProperties"] = False
    return made
