"""Merge flags, environment, config file and defaults into ``Settings``, and remember which of them
each value came from (W02).

pydantic validates; pydantic-settings is not used, because it merges the sources before anyone can
ask where a value came from, and ignores names that it does not know.
"""

import argparse
import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from .contract.warmup import WarmupMode
from .errors import InvalidSettings
from .settings import Settings

ENVIRONMENT_PREFIX: Final = "KILN_"
CONFIG_VARIABLE: Final = "KILN_CONFIG"
FIELDS: Final = Settings.model_fields

# W01: the shorthand, which is a spelling of warmup_mode and no field of its own.
SHORTHAND: Final = "warmup"
TRUTHS: Final = {
    "true": WarmupMode.SERVER,
    "1": WarmupMode.SERVER,
    "yes": WarmupMode.SERVER,
    "on": WarmupMode.SERVER,
    "false": WarmupMode.OFF,
    "0": WarmupMode.OFF,
    "no": WarmupMode.OFF,
    "off": WarmupMode.OFF,
}

# W03: flags that KServe's runtimes and operators pass to any server. These mean something here ...
KSERVE_ALIASES: Final = {"model_dir": "model"}
# ... and these do not: accepted, and named in a warning.
KSERVE_IGNORED: Final = (
    "max_threads",
    "max_asyncio_workers",
    "enable_docs_url",
    "enable_latency_logging",
    "configure_logging",
    "log_config_file",
    "access_log_format",
    "event_loop",
    "timeout_keep_alive",
    "predictor_host",
    "protocol",
    "predictor_protocol",
    "predictor_use_ssl",
    "predictor_request_timeout_seconds",
    "predictor_request_retries",
    "enable_predictor_health_check",
)

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
        *([_from_file(Path(config))] if config else []),
        _from_environment(environment),
        _from_flags(vars(given)),
    ]
    values: dict[str, Any] = {}
    sources = dict.fromkeys(FIELDS, "default")
    for source in ranked:
        for name, (value, origin) in source.items():
            values[name], sources[name] = value, origin
    return Resolved(_validated(values, sources), sources, _ignored(vars(given)))


Source = dict[str, tuple[Any, str]]


def _from_flags(given: Mapping[str, Any]) -> Source:
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


def _from_environment(environment: Mapping[str, str]) -> Source:
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


def _from_file(path: Path) -> Source:
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


def _spellings(name: str) -> list[str]:
    return list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"]))


def _extra(info: FieldInfo) -> dict[str, Any]:
    extra = info.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _metavar(info: FieldInfo) -> str:
    annotation = info.annotation
    if annotation is bool:
        return "true|false"
    if isinstance(annotation, type) and hasattr(annotation, "__members__"):
        return "|".join(str(each.value) for each in annotation)
    if choices := get_args(annotation):
        if all(isinstance(each, str) for each in choices):
            return "|".join(choices)
        return "PATH"
    return {int: "N", float: "SECONDS", Path: "PATH"}.get(annotation, "TEXT")  # type: ignore[arg-type]


def _shown_default(info: FieldInfo) -> str:
    value = info.default
    if value is None:
        return "none"
    return str(value) if value != "" else "empty"
