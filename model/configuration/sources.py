"""What each source says: flags, environment, config file. Names that nobody knows are refused here
(W03), and so is a source that contradicts itself (W01).
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from ..errors import InvalidSettings
from .names import (
    CONFIG_VARIABLE,
    ENVIRONMENT_PREFIX,
    FIELDS,
    KSERVE_ALIASES,
    SHORTHAND,
    TRUTHS,
)

# By name: the value, and where it was said.
Source = dict[str, tuple[Any, str]]

# What Kubernetes sets in every container for a Service named "kiln" or "kiln-...": a host, ports
# and addresses such as tcp://10.96.0.17:80. They come with the prefix, and nobody set them.
SERVICE_LINK: Final = re.compile(
    r"KILN_(\w+_)?(SERVICE_HOST=.*|SERVICE_PORT(_\w+)?=\d+"
    r"|PORT(_\d+_(TCP|UDP|SCTP))?=\w+://.*|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=.*)"
)


class YamlLoader(yaml.SafeLoader):
    """Booleans are only true and false, as in YAML 1.2: ``warmup_mode: off`` is the word."""


YamlLoader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:bool"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def from_flags(given: Mapping[str, Any]) -> Source:
    found: Source = {
        name: (value, "flag") for name, value in given.items() if name in (*FIELDS, SHORTHAND)
    }
    for alias, meaning in KSERVE_ALIASES.items():
        if (value := given.get(f"kserve_{alias}")) is not None:
            if meaning in found and found[meaning][0] != value:
                raise InvalidSettings(
                    f"--{alias} and --{meaning} name different things; give one of them"
                )
            found[meaning] = (value, "flag")
    return _without_shorthand(found)


def from_environment(environment: Mapping[str, str]) -> Source:
    found: Source = {}
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if SERVICE_LINK.fullmatch(f"{variable}={environment[variable]}"):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        known = [f"{ENVIRONMENT_PREFIX}{each.upper()}" for each in (*FIELDS, SHORTHAND)]
        _check_known(name, f"environment variable {variable}", variable, known)
        found[name] = (environment[variable], f"environment {variable}")
    return _without_shorthand(found)


def from_file(path: Path) -> Source:
    try:
        text = path.read_text(encoding="utf-8")
        # JSON is YAML, but for tabs in its indentation.
        loaded = json.loads(text) if path.suffix == ".json" else yaml.load(text, YamlLoader)  # noqa: S506
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidSettings(f"config file {str(path)!r} cannot be read: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InvalidSettings(f"config file {str(path)!r} must be a mapping of settings to values")
    for name in loaded:
        _check_known(
            str(name), f"config file {path}: key {name!r}", str(name), [*FIELDS, SHORTHAND]
        )
    origin = f"config file {path}"
    return _without_shorthand({name: (value, origin) for name, value in loaded.items()})


def _without_shorthand(found: Source) -> Source:
    """Turn ``warmup: true`` into its mode, and refuse a contradiction within one source (W01)."""
    if SHORTHAND not in found:
        return found
    value, origin = found.pop(SHORTHAND)
    mode = TRUTHS.get(str(value).strip().lower())
    if mode is None:
        raise InvalidSettings(f"warmup ({origin}): {value!r} is neither true nor false")
    said = str(found.get("warmup_mode", (mode, origin))[0])
    if said != mode:
        raise InvalidSettings(
            f"warmup={value} means warmup_mode={mode}, but warmup_mode={said} is given as well "
            f"({origin}); give one of them"
        )
    return {**found, "warmup_mode": (mode, origin)}


def _check_known(name: str, where: str, written: str, known: Iterable[str]) -> None:
    if name in (*FIELDS, SHORTHAND):
        return
    near = difflib.get_close_matches(written, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else "; see --help for the settings"
    raise InvalidSettings(f"{where} is not a setting{hint}")
