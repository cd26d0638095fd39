"""Settings that are lists or mappings: text in a flag or a variable, native in a config file."""

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from .contract.generation import Sampling
from .contract.sampling import Task
from .contract.warmup import Resolution
from .url_hosts import UrlHost

# W04: these sampling values have a setting of their own, which bounds them.
ELSEWHERE: Final = {
    "width": "warmup_resolutions",
    "height": "warmup_resolutions",
    "num_frames": "warmup_num_frames",
    "num_inference_steps": "warmup_steps",
}
# A dot would be a level in peft's names of weights.
LORA_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
NEGATIVE_PROMPT: Final = "negative_prompt"
OVERRIDES: Final = tuple(
    sorted({*Sampling.__dataclass_fields__, NEGATIVE_PROMPT}.difference(ELSEWHERE))
)


def _listed(given: object) -> object:
    """``a,b`` is a list of two; one value is a list of one. Each counts once."""
    if isinstance(given, str):
        given = [each.strip() for each in given.split(",")] if given.strip() else []
    if not isinstance(given, list | tuple):
        given = [given]
    return tuple(each for place, each in enumerate(given) if each not in given[:place])


def _resolutions(given: object) -> object:
    listed = _listed(given)
    assert isinstance(listed, tuple)
    return tuple(
        each if isinstance(each, Resolution) else Resolution.parse(str(each)) for each in listed
    )


def _url_hosts(given: object) -> object:
    listed = _listed(given)
    assert isinstance(listed, tuple)
    return tuple(each if isinstance(each, UrlHost) else UrlHost.parse(str(each)) for each in listed)


def _networks(given: object) -> object:
    listed = _listed(given)
    assert isinstance(listed, tuple)
    return tuple(ipaddress.ip_network(each) for each in listed)


def _overrides(given: object) -> object:
    """A mapping from sampling values to numbers, and of the negative prompt to a text."""
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.strip() else {}
        except ValueError as error:
            raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(given, Mapping):
        raise ValueError('must be a JSON object, such as {"guidance_scale": 5}')
    unknown = sorted(str(name)[:100] for name in given if name not in OVERRIDES)
    if unknown:
        own = ", ".join(sorted({ELSEWHERE[name] for name in unknown if name in ELSEWHERE}))
        raise ValueError(
            f"unknown are {', '.join(unknown)}; known are {', '.join(OVERRIDES)}"
            + (f"; use {own} instead" if own else "")
        )
    for name, value in given.items():
        _check_value(name, value)
    return dict(given)


def _check_value(name: str, value: object) -> None:
    if name == NEGATIVE_PROMPT:
        if not isinstance(value, str):
            raise ValueError(f"{name} must be text")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number")


def _loras(given: object) -> object:
    """``NAME=FILE,NAME=FILE``, or a mapping; each file is there."""
    if isinstance(given, str):
        pairs = [each.partition("=") for each in given.split(",") if each.strip()]
        if not all(name and is_there and file for name, is_there, file in pairs):
            raise ValueError("must be NAME=FILE, or several of them between commas")
        names = [name.strip() for name, _, _ in pairs]
        twice = sorted({each for each in names if names.count(each) > 1})
        if twice:
            raise ValueError(f"names {', '.join(twice)} twice")
        given = {name.strip(): file.strip() for name, _, file in pairs}
    if not isinstance(given, Mapping):
        raise ValueError("must be NAME=FILE, or a mapping from names to files")
    for name, file in given.items():
        if not LORA_NAME.fullmatch(str(name)):
            raise ValueError(f"{str(name)[:100]!r} must be letters, digits, - and _, at most 100")
        if Path(str(file)).suffix != ".safetensors" or not Path(str(file)).is_file():
            raise ValueError(f"{name}: there is no safetensors file {str(file)!r}")
    return {str(name): Path(str(file)) for name, file in given.items()}


def _written_loras(values: dict[str, Path]) -> str:
    return ",".join(f"{name}={file}" for name, file in values.items())


def _written(values: tuple[Any, ...]) -> str:
    return ",".join(str(each) for each in values)


Resolutions = Annotated[
    tuple[Resolution, ...],
    BeforeValidator(_resolutions),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string"}),
]
BatchSizes = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...],
    Field(min_length=1),
    BeforeValidator(_listed),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string"}),
]
UrlHosts = Annotated[
    tuple[UrlHost, ...],
    BeforeValidator(_url_hosts),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string"}),
]
Networks = Annotated[
    tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...],
    BeforeValidator(_networks),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string"}),
]
Tasks = Annotated[
    tuple[Task, ...],
    BeforeValidator(_listed),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string"}),
]
Loras = Annotated[
    dict[str, Path],
    BeforeValidator(_loras),
    PlainSerializer(_written_loras),
    WithJsonSchema({"type": "string"}),
]
Overrides = Annotated[
    dict[str, Any], BeforeValidator(_overrides), WithJsonSchema({"type": "string"})
]
