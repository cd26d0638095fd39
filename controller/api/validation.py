"""Validate an object as the API server does: unknown fields, types and bounds of the schema,
defaults, then the CEL rules. The schema is the generated CRD itself, so there is one source.

What only the cluster knows is not checked: whether a Secret exists, who else has the name, quotas.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from ..errors import InvalidService
from . import names
from .base import Object

CRD_FILE: Final = Path(__file__).with_name("crd.json")
# How JSON's types are called in Python. A bool is an int there, and not here.
TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
}
# Limits of a schema, the test that breaks them, and what to say.
BOUNDS: Final[dict[str, tuple[Callable[[Any, Any], bool], str]]] = {
    "minimum": (lambda value, limit: value < limit, "must be at least {}"),
    "maximum": (lambda value, limit: value > limit, "must be at most {}"),
    "minLength": (lambda value, limit: len(value) < limit, "must have at least {} characters"),
    "maxLength": (lambda value, limit: len(value) > limit, "must have at most {} characters"),
    "minItems": (lambda value, limit: len(value) < limit, "must have at least {} items"),
    "maxItems": (lambda value, limit: len(value) > limit, "must have at most {} items"),
    "maxProperties": (lambda value, limit: len(value) > limit, "must have at most {} entries"),
    "pattern": (
        lambda value, limit: isinstance(value, str) and not re.search(limit, value),
        "does not match {}",
    ),
}


@cache
def schema() -> Object:
    """Of the object, from the CRD that ships with the operator."""
    crd = json.loads(CRD_FILE.read_text(encoding="utf-8"))
    found: Object = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def validated(given: Any) -> Object:
    """``given`` with the defaults filled in.

    Raises:
        InvalidService: with every problem that was found.
    """
    problems = tuple(_identity(given)) or tuple(_structural(given, schema(), ""))
    if not problems:
        given = with_defaults(given, schema())
        problems = tuple(_structural(given, schema(), ""))
    if not problems:
        from .cel_rules import broken_rules

        problems = tuple(broken_rules(given, schema()))
    if problems:
        raise InvalidService(problems)
    return dict(given)


def with_defaults(value: Any, described: Object) -> Any:
    """A copy of ``value`` in which what is absent has its default, on each level."""
    if isinstance(value, list) and "items" in described:
        return [with_defaults(each, described["items"]) for each in value]
    if not isinstance(value, dict):
        return value
    made = dict(value)
    for name, each in described.get("properties", {}).items():
        # The API server takes null for absent where there is a default.
        if made.get(name) is None and "default" in each:
            made[name] = each["default"]
        if name in made:
            made[name] = with_defaults(made[name], each)
    return made


def _identity(given: Any) -> Iterator[str]:
    if not isinstance(given, dict):
        wanted = f"apiVersion: {names.API_VERSION} and kind: {names.KIND}"
        yield f"the document is no object; write {wanted}"
        return
    for field, wanted in (("apiVersion", names.API_VERSION), ("kind", names.KIND)):
        if given.get(field) != wanted:
            yield f"{field}: is {given.get(field)!r}; write {field}: {wanted}"
    metadata = given.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        yield "metadata.name: Required value"


def _structural(value: Any, described: Object, path: str) -> Iterator[str]:
    if value is None:
        yield f"{path}: Invalid value: null: must be of type {described.get('type', 'string')}"
        return
    if wrong := _wrong_type(value, described):
        yield f"{path}: Invalid value: {_shown(value)}: must be of type {wrong}"
        return
    if "enum" in described and value not in described["enum"]:
        choices = ", ".join(f'"{each}"' for each in described["enum"])
        yield f"{path}: Unsupported value: {_shown(value)}: supported values: {choices}"
    for limit, (broken, text) in BOUNDS.items():
        if limit in described and broken(value, described[limit]):
            yield f"{path}: Invalid value: {_shown(value)}: {text.format(described[limit])}"
    if isinstance(value, list):
        yield from _items(value, described, path)
    elif isinstance(value, dict):
        yield from _fields(value, described, path)


def _wrong_type(value: Any, described: Object) -> str | None:
    """The type that it should have, or None where it has it."""
    if described.get("x-kubernetes-int-or-string"):
        fits = isinstance(value, str | int) and not isinstance(value, bool)
        return None if fits else "integer or string"
    wanted: str = described.get("type", "object")
    if isinstance(value, bool) and wanted != "boolean":
        return wanted
    return None if isinstance(value, TYPES[wanted]) else wanted


def _items(value: list[Any], described: Object, path: str) -> Iterator[str]:
    for place, each in enumerate(value):
        yield from _structural(each, described["items"], f"{path}[{place}]")
    keys = described.get("x-kubernetes-list-map-keys", ())
    seen: set[tuple[Any, ...]] = set()
    for place, each in enumerate(value):
        if keys and isinstance(each, dict):
            key = tuple(each.get(name) for name in keys)
            if key in seen:
                yield f"{path}[{place}]: Duplicate value: {', '.join(map(str, key))}"
            seen.add(key)


def _fields(value: Object, described: Object, path: str) -> Iterator[str]:
    if path == "metadata":
        return  # the API server's own, of another schema
    inner = described.get("additionalProperties")
    known = described.get("properties", {})
    for name in described.get("required", ()):
        if value.get(name) is None:
            yield f"{_joined(path, name)}: Required value"
    for name, each in value.items():
        place = _joined(path, str(name))
        if not isinstance(name, str):
            yield f"{place}: Invalid value: a key must be a string; write it in quotes"
        elif inner is not None:
            yield from _structural(each, inner, place)
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            yield f'{place}: unknown field "{place}"' + (
                f"; did you mean {near[0]}?" if near else ""
            )
        elif each is not None:
            yield from _structural(each, known[name], place)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
