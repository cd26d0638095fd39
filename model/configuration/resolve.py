"""Merge flags, environment, config file and defaults into ``Settings``, and remember which of them
each value came from (W02).

pydantic validates; pydantic-settings is not used, because it merges the sources before anyone can
ask where a value came from, and ignores names that it does not know.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import InvalidSettings
from ..settings import Settings
from .names import CONFIG_VARIABLE, FIELDS, KSERVE_IGNORED
from .sources import from_environment, from_file, from_flags


@dataclass(frozen=True, slots=True)
class Resolved:
    """``sources`` has ``flag``, ``environment VARIABLE``, ``config file PATH`` or ``default`` for
    each field. ``ignored`` lists KServe flags that were given and have no meaning here.
    """

    settings: Settings
    sources: dict[str, str]
    ignored: tuple[str, ...] = ()

    def table(self) -> str:
        """One line a field: name, value and source, for ``--print-config``."""
        values = self.settings.model_dump(mode="json")
        width = max(map(len, values))
        shown = {name: json.dumps(value) for name, value in values.items()}
        longest = max(map(len, shown.values()))
        return "\n".join(
            f"{name:<{width}}  {shown[name]:<{longest}}  {self.sources[name]}" for name in values
        )


def resolve(given: argparse.Namespace, environment: Mapping[str, str]) -> Resolved:
    """Merge all sources.

    Raises:
        InvalidSettings: a name nobody knows, a value that does not fit, a file that does not load,
            or two sources of equal rank that contradict each other.
    """
    if str(given.workers) != "1":
        raise InvalidSettings(
            f"--workers {given.workers}: only 1 is possible, since one process owns the device; "
            "run more replicas instead"
        )
    config = given.config or environment.get(CONFIG_VARIABLE)
    ranked = [
        *([from_file(Path(config))] if config else []),
        from_environment(environment),
        from_flags(vars(given)),
    ]
    values: dict[str, Any] = {}
    sources = dict.fromkeys(FIELDS, "default")
    for source in ranked:
        for name, (value, origin) in source.items():
            values[name], sources[name] = value, origin
    return Resolved(_validated(values, sources), sources, _ignored(vars(given)))


def _validated(values: dict[str, Any], sources: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{_origin(problem['loc'], sources)}{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise InvalidSettings("; ".join(problems)) from None


def _origin(location: Sequence[int | str], sources: Mapping[str, str]) -> str:
    if not location:
        return ""
    name = str(location[0])
    return f"{name} ({sources.get(name, 'default')}): "


def _ignored(given: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"--{name}" for name in KSERVE_IGNORED if f"ignored_{name}" in given)
