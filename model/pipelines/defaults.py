"""W10, W11: what a model generates when the request does not say. Imports no torch.

The most specific word wins: what the model folder says (``generation_config.json``, then extra keys
of ``model_index.json``), what its components imply (the denoiser's native size), what its family
usually takes, and at last a base. Each value keeps the name of its source.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from ..contract.sampling import SamplingDefaults
from ..errors import ModelNotLoadable
from .families import Family

BASE: Final = {"width": 512, "height": 512, "num_inference_steps": 30}
# 17 frames fit every frame contract of the field.
BASE_VIDEO: Final = {"num_frames": 17, "fps": 16.0}
NAMES: Final = tuple(each.name for each in fields(SamplingDefaults) if each.name != "sources")
WHOLE: Final = ("width", "height", "num_inference_steps", "max_sequence_length", "num_frames")
REAL: Final = ("guidance_scale", "true_cfg_scale", "strength", "fps")


def resolve_defaults(
    folder: Path, family: Family, native_size: tuple[int, int] | None, video: bool = False
) -> SamplingDefaults:
    """Merge the sources. ``native_size`` is (width, height) in pixels, where the denoiser has one.
    ``video``: the model makes videos.

    Raises:
        ModelNotLoadable: a file of the folder is no JSON object, or a value in it is no number.
    """
    implied = dict(zip(("width", "height"), native_size, strict=True)) if native_size else {}
    ranked: list[tuple[str, Mapping[str, Any]]] = [
        ("base", {**BASE, **BASE_VIDEO} if video else BASE),
        (f"family {family.name}", {**family.defaults, **_variant(folder, family)}),
        ("model components", implied),
        ("model folder", _known(folder, "model_index.json")),
        ("model folder", _known(folder, "generation_config.json")),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, found in ranked:
        for name, value in found.items():
            values[name], sources[name] = value, source
    return SamplingDefaults(**values, sources=sources)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        ModelNotLoadable: it is missing, or something else.
    """
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotLoadable(f"{path.name} of the model cannot be read: {error}") from error
    if not isinstance(loaded, dict):
        raise ModelNotLoadable(f"{path.name} of the model is not a JSON object")
    return loaded


def _variant(folder: Path, family: Family) -> dict[str, Any]:
    """The defaults of the family that hang on a flag of the pipeline."""
    if not family.variants:
        return {}
    flags = read_json(folder / "model_index.json")
    found = [values for flag, values in family.variants.items() if flags.get(flag) is True]
    return {name: value for values in found for name, value in values.items()}


def _known(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        return {}
    found = read_json(path)
    return {
        each: _checked(each, found[each], name) for each in NAMES if found.get(each) is not None
    }


def _checked(name: str, value: Any, file: str) -> Any:
    if name in WHOLE and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ModelNotLoadable(f"{file} of the model: {name} must be a whole number above 0")
    if name in REAL and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ModelNotLoadable(f"{file} of the model: {name} must be a number")
    if name == "negative_prompt" and not isinstance(value, str):
        raise ModelNotLoadable(f"{file} of the model: negative_prompt must be text")
    return value
