"""The page of settings, from the settings themselves."""

import json
from typing import Any

from model.configuration.names import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, SHORTHAND
from model.settings import Settings

from .tables import table

INTRODUCTION = f"""# Settings

<!-- Generated from model/settings.py by `make generate`. -->

A setting comes from, in this order: its flag, its environment variable, the config file, its
default. `python -m model serve --print-config` prints every setting with its value and its source.

- **Flags.** `--http-port 9000` and `--http_port 9000` are the same. An unknown flag ends the start
  with exit status 2 and names the flag that was probably meant.
- **Environment.** `{ENVIRONMENT_PREFIX}` and the name in capitals. An unknown variable with this
  prefix is an error as well.
- **Config file.** `--config FILE`, or `{CONFIG_VARIABLE}`: YAML or JSON, with the names in
  underscores (`http_port: 9000`). An unknown key is an error.
- `--{SHORTHAND} true` is short for `--warmup-mode server`, and `--{SHORTHAND} false` for
  `--warmup-mode off`.
- KServe's own flags pass: `--model_dir` means `--model`, `--workers` may only be 1, and those that
  mean nothing here are named in a warning.
"""


HEADER = ("flag", "environment", "value", "default", "meaning")


def render() -> str:
    """The whole page."""
    schema = Settings.model_json_schema()
    groups: dict[str, list[tuple[str, ...]]] = {}
    for name, described in schema["properties"].items():
        groups.setdefault(described["group"], []).append(_row(name, described, schema["$defs"]))
    return INTRODUCTION + "".join(
        f"\n## {group}\n\n{table(HEADER, rows)}" for group, rows in groups.items()
    )


def _row(name: str, described: dict[str, Any], definitions: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"`--{name.replace('_', '-')}`",
        f"`{ENVIRONMENT_PREFIX}{name.upper()}`",
        described["written"] or _value(described, definitions),
        _default(described["default"]),
        described["description"],
    )


def _value(described: dict[str, Any], definitions: dict[str, Any]) -> str:
    """What may be written: the choices, or the type with its bounds."""
    if "$ref" in described:
        described = definitions[described["$ref"].rpartition("/")[2]]
    if "anyOf" in described:
        described = next(each for each in described["anyOf"] if each["type"] != "null")
    if "enum" in described:
        return ", ".join(f"`{choice}`" for choice in described["enum"])
    if described["type"] == "boolean":
        return "`true`, `false`"
    kind = str(described.get("format", described["type"]))
    return kind.replace("string", "text") + _bounds(described)


def _bounds(described: dict[str, Any]) -> str:
    low, high = described.get("minimum"), described.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    if low is not None:
        return f", {_number(low)} or more"
    if "exclusiveMinimum" in described:
        return f", above {_number(described['exclusiveMinimum'])}"
    return ""


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        value = ",".join(str(each) for each in value)
    if value in ("", {}):
        return "empty"
    if isinstance(value, bool):
        return f"`{json.dumps(value)}`"
    return f"`{_number(value)}`"


def _number(value: object) -> str:
    """600.0 as 600."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
