"""Schemas of Kubernetes' own types, from the models of its official client, for the fields of ours
that hold them. Imports that client, so only the generator of the CRD imports this.
"""

import importlib
import re
from collections.abc import Sequence
from typing import Any, Final

from .base import Object

# The client's models say string, but a number is as good: cpu: 4.
QUANTITIES: Final = frozenset({"limits", "requests", "sizeLimit", "divisor"})
INT_OR_STRING: Final = {"x-kubernetes-int-or-string": True}


def core_schema(kind: str, fields: Sequence[str]) -> Object:
    """The pydantic schema of ``kind``, such as ``V1Affinity``, with only ``fields`` at its top.

    Raises:
        KeyError: a field that the type does not have.
    """
    module = importlib.import_module(f"kubernetes.client.models.{_module_name(kind)}")
    schema: Object = getattr(module, kind).model_json_schema(by_alias=True)
    _tidy(schema)
    if fields:
        schema["properties"] = {name: schema["properties"][name] for name in fields}
    return schema


def _module_name(kind: str) -> str:
    """``V1EnvFromSource`` is in ``v1_env_from_source``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()


def _tidy(node: Any) -> None:
    """Leave descriptions out, which are Kubernetes' own, and let quantities be numbers."""
    if isinstance(node, list):
        for each in node:
            _tidy(each)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("description"), str):
        del node["description"]
    for name, described in node.get("properties", {}).items():
        if name in QUANTITIES:
            _allow_numbers(described)
    for each in node.values():
        _tidy(each)


def _allow_numbers(node: Any) -> None:
    for each in (node, *node.get("anyOf", ())):
        if each.get("type") == "string":
            del each["type"]
            each.update(INT_OR_STRING)
        if isinstance(each.get("additionalProperties"), dict):
            each["additionalProperties"] = dict(INT_OR_STRING)
