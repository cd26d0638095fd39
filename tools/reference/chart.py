"""The schema of the chart's values, and their page, from ``values.yaml`` itself: a key's default
gives its type, and the comment above it its meaning. A key without a comment is an error.

What a default cannot say is in ``MORE``. A test checks that nothing in it has lost its key.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from .tables import table

Schema = dict[str, Any]

CHART: Final = Path(__file__).parents[2] / "charts/kiln"
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
HEADER: Final = ("value", "default", "meaning")
INTRODUCTION: Final = """# Values of the chart

<!-- Generated from charts/kiln/values.yaml by `make generate`. -->

A key that is not here is an error of `helm install` which names it.

"""

LABELS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
# Kubernetes' own types. The API server knows them better than a copy here would.
OBJECT: Final[Schema] = {"type": "object"}
OBJECTS: Final[Schema] = {"type": "array", "items": {"type": "object"}}
RESOURCES: Final[Schema] = {
    "type": "object",
    "properties": {name: {"type": "object"} for name in ("requests", "limits")},
    "additionalProperties": False,
}
NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DURATION: Final[Schema] = {"pattern": r"^(([0-9]+)(ms|s|m|h))*$"}
IMAGE: Final[dict[str, Schema]] = {
    "registry": {"pattern": r"^[^\s@]*$"},
    "repository": {"pattern": r"^[a-z0-9]+([._/-]+[a-z0-9]+)*$"},
    "tag": {"pattern": r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"},
    "digest": {"pattern": r"^(sha256:[0-9a-f]{64})?$"},
}

# Key -> what the schema says beyond the type of the default.
MORE: Final[dict[str, Schema]] = {
    "nameOverride": {"pattern": rf"{NAME}|^$"},
    "fullnameOverride": {"pattern": rf"{NAME}|^$"},
    "commonLabels": LABELS,
    **{
        f"{owner}.image.{key}": more
        for owner in ("operator", "model")
        for key, more in IMAGE.items()
    },
    "operator.image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "operator.replicas": {"minimum": 0},
    "operator.workers": {"minimum": 1},
    "operator.resyncSeconds": {"minimum": 1, "maximum": 86400},
    "operator.logLevel": {"enum": ["debug", "info", "warning", "error"]},
    "operator.logFormat": {"enum": ["auto", "console", "json"]},
    "operator.extraArgs": {"items": {"type": "string", "pattern": "^--"}},
    "operator.extraEnv": OBJECTS,
    "operator.extraVolumes": OBJECTS,
    "operator.extraVolumeMounts": OBJECTS,
    "operator.resources": RESOURCES,
    "operator.podLabels": LABELS,
    "operator.podAnnotations": LABELS,
    "operator.podSecurityContext": OBJECT,
    "operator.securityContext": OBJECT,
    "operator.nodeSelector": LABELS,
    "operator.tolerations": OBJECTS,
    "operator.affinity": OBJECT,
    "operator.topologySpreadConstraints": OBJECTS,
    "operator.terminationGracePeriodSeconds": {"minimum": 0},
    "imagePullSecrets": {
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
    "watchNamespaces": {"items": {"type": "string", "pattern": NAME}, "uniqueItems": True},
    "serviceAccount.annotations": LABELS,
    "podDisruptionBudget.maxUnavailable": {
        "type": ["integer", "string"], "pattern": "^[0-9]+%$", "minimum": 0
    },
    "networkPolicy.from": OBJECTS,
    "networkPolicy.egress": OBJECTS,
    **{
        f"monitoring.{each}.labels": LABELS
        for each in ("serviceMonitor", "podMonitor", "alerts", "dashboard")
    },
    "monitoring.serviceMonitor.interval": DURATION,
    "monitoring.podMonitor.interval": DURATION,
    "monitoring.alerts.disabled": {"items": {"type": "string"}, "uniqueItems": True},
    "monitoring.dashboard.annotations": LABELS,
    "tests.timeoutSeconds": {"minimum": 1},
    "tests.spec": OBJECT,
}  # fmt: skip
TYPES: Final = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}


@dataclass(frozen=True, slots=True)
class Value:
    """``keys``: from the root. ``default`` is a mapping where the key has keys of its own."""

    keys: tuple[str, ...]
    default: Any
    meaning: str
    line: int

    @property
    def path(self) -> str:
        return ".".join(self.keys)

    @property
    def is_section(self) -> bool:
        """Whether the keys below are ours, and not the user's."""
        return isinstance(self.default, dict) and self.path not in MORE


def values(text: str) -> list[Value]:
    """Every key, in order.

    Raises:
        ValueError: a key has no comment above it.
    """
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    assert isinstance(root, yaml.MappingNode)
    return list(_values(root, yaml.safe_load(text), (), text.splitlines()))


def schema(text: str) -> str:
    """For ``helm install``, which checks the user's values with it."""
    found = values(text)
    whole = _section(found, ())
    # Helm hands it to every chart that another chart includes.
    whole["properties"]["global"] = {"type": "object"}
    return json.dumps({"$schema": DRAFT, "title": "Values of kiln", **whole}, indent=2) + "\n"


def page(text: str) -> str:
    """The page of reference."""
    return INTRODUCTION + table(HEADER, [_row(each) for each in values(text)])


def read() -> str:
    """The chart's values."""
    return (CHART / "values.yaml").read_text(encoding="utf-8")


def _values(
    node: yaml.MappingNode, defaults: dict[str, Any], above: tuple[str, ...], lines: list[str]
) -> Iterator[Value]:
    for key, content in node.value:
        made = Value(
            keys=(*above, key.value),
            default=defaults[key.value],
            meaning=_comment(lines, key.start_mark.line),
            line=key.start_mark.line + 1,
        )
        if not made.meaning:
            raise ValueError(f"values.yaml:{made.line}: {made.path} has no comment above it")
        yield made
        if made.is_section:
            yield from _values(content, made.default, made.keys, lines)


def _comment(lines: list[str], line: int) -> str:
    """The block of comments that ends above ``line``."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(each.strip().removeprefix("#").strip() for each in lines[first:line])


def _section(found: list[Value], keys: tuple[str, ...]) -> Schema:
    below = [each for each in found if each.keys[:-1] == keys]
    return {
        "type": "object",
        "properties": {each.keys[-1]: _schema(each, found) for each in below},
        "additionalProperties": False,
    }


def _schema(value: Value, found: list[Value]) -> Schema:
    made = _section(found, value.keys) if value.is_section else {"type": TYPES[type(value.default)]}
    return {"description": value.meaning, **made, **MORE.get(value.path, {})}


def _row(value: Value) -> tuple[str, str, str]:
    default = "" if value.is_section else f"`{json.dumps(value.default)}`"
    return f"`{value.path}`", default, value.meaning
