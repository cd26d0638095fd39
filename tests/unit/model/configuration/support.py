"""Settings resolved through the real command line's parser, and an environment made by the test."""

import argparse
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from model.configuration.flags import add_flags
from model.configuration.resolve import Resolved, resolve
from model.errors import InvalidSettings

ConfigFile = Callable[..., str]
NOTHING: Mapping[str, str] = {}


def resolved(*flags: str, environment: Mapping[str, str] = NOTHING) -> Resolved:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    return resolve(parser.parse_args(flags), environment)


def refusal(*flags: str, environment: Mapping[str, str] = NOTHING) -> str:
    with pytest.raises(InvalidSettings) as caught:
        resolved(*flags, environment=environment)
    return str(caught.value)


def from_source(source: str, values: Mapping[str, str], config_file: ConfigFile) -> dict[str, Any]:
    """The arguments of ``resolved`` that say ``values`` in one source."""
    if source == "flag":
        return {"flags": [part for name, v in values.items() for part in (f"--{name}", v)]}
    if source == "environment":
        return {"environment": {f"KILN_{name.upper()}": v for name, v in values.items()}}
    return {"flags": ["--config", config_file(values)]}


def combined(*arguments: dict[str, Any]) -> Resolved:
    flags = itertools.chain.from_iterable(each.get("flags", ()) for each in arguments)
    environment = {k: v for each in arguments for k, v in each.get("environment", {}).items()}
    return resolved(*flags, environment=environment)


SOURCES = ("flag", "environment", "file")
