"""From pydantic's JSON schema to the structural schema that a CRD needs: no references, no
alternatives, defaults on each level.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import BaseModel

from .base import CORE_FIELDS, CORE_TYPE, Object

KEPT: Final = (
    *("type", "format", "description", "enum", "pattern", "required"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
    *("x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    "x-kubernetes-int-or-string",
)
# Lists of Kubernetes' types whose items have a key: the same key twice is refused.
LIST_KEYS: Final = {"V1EnvVar": "name", "V1Volume": "name", "V1VolumeMount": "mountPath"}
QUANTITY: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]+))?$"
)

CoreSchema = Callable[[str, Sequence[str]], Object]


def structural_schema(model: type[BaseModel], core_schema: CoreSchema) -> Object:
    """``core_schema`` gives the schemas of Kubernetes' own types."""
    schema = model.model_json_schema(by_alias=True)
    return _Converter(schema.get("$defs", {}), core_schema).node(schema)


class _Converter:
    def __init__(self, definitions: Object, core_schema: CoreSchema) -> None:
        self.definitions = definitions
        self.core_schema = core_schema

    def node(self, given: Object) -> Object:
        node = self._flat(given)
        made: Object = {key: node[key] for key in KEPT if key in node}
        if "description" in made:  # a docstring has line breaks
            made["description"] = " ".join(made["description"].split())
        if CORE_TYPE in node:
            self._add_core(node, made)
        elif "properties" in node:
            made["properties"] = {
                name: self.property(each) for name, each in node["properties"].items()
            }
        elif isinstance(node.get("additionalProperties"), dict):
            made["additionalProperties"] = self.node(node["additionalProperties"])
        elif "items" in node:
            made["items"] = self.node(node["items"])
        if made.get("x-kubernetes-int-or-string"):
            made.pop("type", None)
            made.pop("maxLength", None)
            made["pattern"] = QUANTITY
        return made

    def property(self, given: Object) -> Object:
        made = self.node(given)
        default = given.get("default")
        if made.get("type") == "object":
            # In full, not {}: the API server evaluates the rules on it as it stands.
            if default is not None and "properties" in made:
                made["default"] = _defaults(made)
        elif default is not None and default != []:
            made["default"] = default
        return made

    def _flat(self, node: Object) -> Object:
        """Without references and without alternatives; what stands beside them goes first."""
        if "$ref" in node:
            target = self.definitions[node["$ref"].rpartition("/")[2]]
            beside = {key: value for key, value in node.items() if key != "$ref"}
            return self._flat({**target, **beside})
        if "anyOf" not in node:
            return node
        several = [each for each in node["anyOf"] if each.get("type") != "null"]
        beside = {key: value for key, value in node.items() if key != "anyOf"}
        if {each.get("type") for each in several} == {"string", "integer"}:
            return {**beside, "x-kubernetes-int-or-string": True}
        if len(several) != 1:
            raise ValueError(f"a structural schema has no alternatives: {several}")
        return self._flat({**several[0], **beside})

    def _add_core(self, node: Object, made: Object) -> None:
        kind = node[CORE_TYPE]
        schema = self.core_schema(kind, node[CORE_FIELDS])
        inner = _Converter(schema.get("$defs", {}), self.core_schema).node(schema)
        if node["type"] == "array":
            made["items"] = inner
            if kind in LIST_KEYS:
                made["x-kubernetes-list-type"] = "map"
                made["x-kubernetes-list-map-keys"] = [LIST_KEYS[kind]]
        else:
            made.update({**inner, "description": made["description"]})


def _defaults(described: Object) -> Object:
    inner = described["properties"].items()
    return {name: each["default"] for name, each in inner if "default" in each}


def without_descriptions(schema: Any) -> Any:
    """For comparisons, and for those who only validate."""
    if isinstance(schema, list):
        return [without_descriptions(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_descriptions(value)
        for key, value in schema.items()
        if key != "description" or not isinstance(value, str)
    }
