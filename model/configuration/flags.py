"""The flags of the command line: one for each field, and KServe's own (W03)."""

import argparse
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from .names import CONFIG_VARIABLE, FIELDS, KSERVE_ALIASES, KSERVE_IGNORED


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add one flag for each field, and KServe's own. ``--a-b`` and ``--a_b`` are the same."""
    groups: dict[str, Any] = {}
    for name, info in FIELDS.items():
        title = str(_extra(info).get("group", "Other"))
        group = groups.setdefault(title, parser.add_argument_group(title))
        group.add_argument(
            *_spellings(name),
            dest=name,
            default=argparse.SUPPRESS,
            metavar=_metavar(info),
            help=f"{info.description} Default: {_shown_default(info)}.".replace("%", "%%"),
        )
    groups["Warmup"].add_argument(
        "--warmup",
        default=argparse.SUPPRESS,
        metavar="true|false",
        help="Short for --warmup-mode server|off.",
    )
    config = parser.add_argument_group("Configuration")
    config.add_argument(
        "--config",
        metavar="FILE",
        help=f"YAML or JSON file of these settings, by their names with underscores. "
        f"Environment: {CONFIG_VARIABLE}.",
    )
    config.add_argument(
        "--print-config",
        action="store_true",
        help="Print every setting with its value and source, and exit.",
    )
    for name, meaning in KSERVE_ALIASES.items():
        config.add_argument(
            *_spellings(name),
            dest=f"kserve_{name}",
            default=argparse.SUPPRESS,
            metavar="VALUE",
            help=f"KServe's name for --{meaning.replace('_', '-')}.",
        )
    config.add_argument(
        "--workers",
        default="1",
        metavar="1",
        help="KServe's flag. Only 1 is possible: one process owns the device.",
    )
    for name in KSERVE_IGNORED:
        config.add_argument(
            *_spellings(name),
            dest=f"ignored_{name}",
            nargs="?",  # one of them takes no value
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )


def _spellings(name: str) -> list[str]:
    return list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"]))


def _extra(info: FieldInfo) -> dict[str, Any]:
    extra = info.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _metavar(info: FieldInfo) -> str:
    if written := _extra(info).get("written"):
        return str(written)
    annotation = info.annotation
    if annotation is bool:
        return "true|false"
    if isinstance(annotation, type) and hasattr(annotation, "__members__"):
        return "|".join(str(each.value) for each in annotation)
    if choices := get_args(annotation):
        if all(isinstance(each, str) for each in choices):
            return "|".join(choices)
        annotation = choices[0]  # what else may be left out is None
    return {int: "N", float: "SECONDS", Path: "PATH"}.get(annotation, "TEXT")  # type: ignore[arg-type]


def _shown_default(info: FieldInfo) -> str:
    value = info.default
    if value is None:
        return "none"
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return "empty" if value in ("", {}) else str(value)
