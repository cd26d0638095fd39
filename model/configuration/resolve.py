"""Merge flags, environment, config file and defaults into ``Settings``, and remember which of them
each value came from (W02).

pydantic validates; pydantic-settings is not used, because it merges the sources before anyone can
ask where a value came from, and ignores names that it does not know.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ..contract.roles import Role, warmup_of
from ..contract.warmup import UnwarmedShapes, WarmupMode
from ..errors import InvalidSettings
from ..settings import Settings
from .names import CONFIG_VARIABLE, FIELDS, KSERVE_IGNORED
from .sources import from_environment, from_file, from_flags

# What each warmup setting needs to have a meaning.
PLANNED: Final = frozenset({WarmupMode.SERVER})
ANY_WARMUP: Final = frozenset({WarmupMode.SERVER, WarmupMode.REQUEST})
NEEDED_MODES: Final = {
    "warmup_resolutions": PLANNED,
    "warmup_num_frames": PLANNED,
    "warmup_batch_sizes": PLANNED,
    "warmup_tasks": PLANNED,
    "warmup_sampling_params": PLANNED,
    "warmup_report_path": PLANNED,
    "warmup_steps": ANY_WARMUP,
}
# What a role's one engine has not.
ONE_ENGINE: Final = ("engines", "cfg_parallel", "loras")


@dataclass(frozen=True, slots=True)
class Resolved:
    """``sources`` has ``flag``, ``environment VARIABLE``, ``config file PATH`` or ``default`` for
    each field; ``disaggregated-role`` where the role decided (W05). ``ignored`` lists KServe flags
    that were given and have no meaning here. ``warnings``: what was said and does not hold.
    """

    settings: Settings
    sources: dict[str, str]
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

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
    settings = _validated(values, sources)
    _check_warmup(settings, sources)
    return for_role(Resolved(settings, sources, _ignored(vars(given))))


def _validated(values: dict[str, Any], sources: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{_origin(problem['loc'], sources)}{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise InvalidSettings("; ".join(problems)) from None


def _check_warmup(settings: Settings, sources: Mapping[str, str]) -> None:
    """An explicit off, or request, is never overridden by a setting that needs more (W02)."""
    mode = f"warmup_mode is {settings.warmup_mode} ({sources['warmup_mode']})"
    for name, modes in NEEDED_MODES.items():
        if settings.warmup_mode not in modes and sources[name] != "default":
            raise InvalidSettings(
                f"{name} ({sources[name]}): nothing would be warmed by it, since {mode}; leave it "
                "out, or set warmup_mode to server"
            )
    if settings.unwarmed_shapes is UnwarmedShapes.REJECT and settings.warmup_mode not in PLANNED:
        raise InvalidSettings(
            f"unwarmed_shapes ({sources['unwarmed_shapes']}): reject would refuse every request, "
            f"since {mode} and no shape is proven; set warmup_mode to server"
        )


def for_role(resolved: Resolved) -> Resolved:
    """W05: what the role means for the warmup.

    Raises:
        InvalidSettings: settings that the role cannot have.
    """
    settings, sources = resolved.settings, resolved.sources
    origin = sources["warmup_mode"]
    _check_one_device(resolved)
    decided = warmup_of(settings.role, settings.warmup_mode, explicit=origin != "default")
    if decided.reason is None:
        return resolved
    given = [name for name in NEEDED_MODES if sources[name] != "default"]
    warnings = [f"{name} ({sources[name]}) has no meaning here" for name in given]
    if decided.overruled:
        warnings.insert(0, f"warmup_mode {settings.warmup_mode} ({origin}) is switched off")
    return replace(
        resolved,
        settings=settings.model_copy(update={"warmup_mode": decided.mode}),
        sources={**sources, "warmup_mode": decided.reason},
        warnings=tuple(
            f"{each}: a server of role {settings.role} is warmed by its router" for each in warnings
        ),
    )


def _check_one_device(resolved: Resolved) -> None:
    """A role is one engine with the model's own weights; there are several by replicas. A router is
    none, and has no first request's copy that would warm more than one way through its chain."""
    settings, sources = resolved.settings, resolved.sources
    engines = "no engine" if settings.role is Role.ROUTER else "one engine"
    for name in ONE_ENGINE if settings.role is not Role.MONOLITHIC else ():
        if sources[name] != "default":
            raise InvalidSettings(
                f"{name} ({sources[name]}): a server of role {settings.role} has {engines} and no "
                "adapters; leave it out"
            )
    if settings.role is Role.ROUTER and settings.warmup_mode is WarmupMode.REQUEST:
        raise InvalidSettings(
            f"warmup_mode ({sources['warmup_mode']}): a copy of the first request would warm one "
            "way through the chain, and not every replica; use server, or off"
        )


def _origin(location: Sequence[int | str], sources: Mapping[str, str]) -> str:
    if not location:
        return ""
    name = str(location[0])
    return f"{name} ({sources.get(name, 'default')}): "


def _ignored(given: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"--{name}" for name in KSERVE_IGNORED if f"ignored_{name}" in given)
