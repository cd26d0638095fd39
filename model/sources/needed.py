"""Which files of a model are fetched: those that loading its diffusers folder reads, and no others.

Repositories hold the same weights several times over: as one file for other programs, as pickles,
for other frameworks, and at half precision. Fetched blindly, FLUX.1 is twice its size, and SDXL
five times.
"""

import json
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, Final

from ..errors import ModelNotLoadable
from .listing import RemoteFile

INDEX: Final = "model_index.json"
WEIGHTS: Final = ".safetensors"
PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
# Configurations, tokenizers' vocabularies, chat templates, weights.
SUFFIXES: Final = (".json", ".txt", ".model", ".jinja", WEIGHTS)
SHARD: Final = re.compile(r"-\d{5}-of-\d{5}$")


def needed(files: Iterable[RemoteFile], index: bytes, address: str) -> tuple[RemoteFile, ...]:
    """Of ``files``, those to fetch. ``index``: the content of model_index.json.

    Raises:
        ModelNotLoadable: it is no diffusers folder with safetensors weights.
    """
    components = _components(index, address)
    several = tuple(files)
    chosen = tuple(each for each in several if _belongs(each.path, components))
    present = {PurePosixPath(each.path).parts[0] for each in chosen}
    if lacking := sorted(components - present):
        raise ModelNotLoadable(
            f"{address}: the folder of its component {lacking[0]!r} is missing or empty; check "
            "that the whole model was uploaded"
        )
    kept = _without_variants(chosen)
    if not any(each.path.endswith(WEIGHTS) for each in kept):
        pickled = next((each.path for each in several if each.path.endswith(PICKLES)), None)
        found = f"only pickles such as {pickled}, which may run code" if pickled else "none"
        raise ModelNotLoadable(
            f"{address}: it needs safetensors weights, and has {found}; convert the model with "
            "save_pretrained(FOLDER, safe_serialization=True)"
        )
    return kept


def _components(index: bytes, address: str) -> frozenset[str]:
    try:
        found: Any = json.loads(index)
    except ValueError as error:
        raise ModelNotLoadable(f"{address}: its {INDEX} is not JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("_class_name"), str):
        raise ModelNotLoadable(f"{address}: its {INDEX} names no _class_name")
    # [library, class], or [null, null] where the pipeline goes without it.
    return frozenset(name for name, each in found.items() if isinstance(each, list) and any(each))


def _belongs(path: str, components: frozenset[str]) -> bool:
    parts = PurePosixPath(path).parts
    if ".." in parts or path.startswith("/"):
        return False  # whoever named it so wants it written outside of the folder
    if len(parts) <= 1:  # a bucket may have an object for the folder itself
        return path.endswith(".json")
    return parts[0] in components and path.endswith(SUFFIXES)


def _without_variants(files: tuple[RemoteFile, ...]) -> tuple[RemoteFile, ...]:
    """model.fp16.safetensors goes where there is a model.safetensors, in one piece or several."""
    plain = {
        (parent, name)
        for parent, name, variant in map(_weights, (each.path for each in files))
        if name and not variant
    }

    def superfluous(path: str) -> bool:
        parent, name, variant = _weights(path)
        return bool(variant) and (parent, name) in plain

    return tuple(each for each in files if not superfluous(each.path))


def _weights(path: str) -> tuple[str, str, str]:
    """Folder, name and variant of a weights file; of others, the name is empty."""
    whole = PurePosixPath(path)
    if whole.suffix != WEIGHTS:
        return "", "", ""
    # Both orders occur: model.fp16-00001-of-00002 and model-00001-of-00002.fp16.
    name, _, variant = SHARD.sub("", whole.stem).partition(".")
    return str(whole.parent), SHARD.sub("", name), variant
