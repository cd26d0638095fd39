"""Find the folder that a model address names, and refuse what could not be served. No torch."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import ModelNotLoadable
from ..sources.record import PLACE, Record
from .defaults import read_json

EMBEDDED: Final = "embedded://"
HUB: Final = "hf://"
PATTERNS: Final = ["*.json", "*.safetensors", "*.txt", "*.model"]
UNSAFE_SUFFIXES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A diffusers folder on disk. ``revision`` is the hub's commit, wherever ``fetch`` or the hub's
    own cache has put it, or a hash of the folder's configuration files and of the sizes of its
    weights.
    """

    path: Path
    pipeline: str
    revision: str


def locate(address: str, *, weights: bool = True) -> ModelFolder:
    """Resolve ``embedded://``, ``hf://ORGANISATION/NAME[@REVISION]``, ``file://`` or a path. A hub
    model is downloaded into the hub's cache first; nothing else touches the network. Without
    ``weights`` only its configuration is, and nobody asks whether the rest is there.

    Raises:
        ModelNotLoadable: no such folder, no ``model_index.json``, or weights that are pickles.
    """
    if address.startswith(HUB):
        found = _downloaded(address.removeprefix(HUB), PATTERNS if weights else PATTERNS[:1])
        return _checked(found, address, weights)
    if address.startswith(EMBEDDED):
        from ..embedded import PIPELINE_FOLDER

        return _checked(PIPELINE_FOLDER, address, weights)
    path = Path(address.removeprefix("file://")).expanduser()
    if "://" in str(address) and not address.startswith("file://"):
        raise ModelNotLoadable(
            f"model {address!r}: unknown scheme; use embedded://, hf://ORGANISATION/NAME or a path"
        )
    return _checked(path, address, weights)


def _checked(path: Path, address: str, weights: bool) -> ModelFolder:
    if not path.is_dir():
        raise ModelNotLoadable(
            f"model {address!r}: there is no such folder; a model of the hub is "
            "hf://ORGANISATION/NAME"
        )
    if not (path / "model_index.json").is_file():
        raise ModelNotLoadable(
            f"model {address!r}: no model_index.json in it, so it is not a diffusers folder; "
            "save one with pipeline.save_pretrained(FOLDER)"
        )
    index = read_json(path / "model_index.json")
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        raise ModelNotLoadable(f"model {address!r}: model_index.json names no _class_name")
    if weights:
        _check_components(path, index, address)
        _check_weights(path, address)
    return ModelFolder(path, pipeline, _revision(path))


def _check_components(path: Path, index: dict[str, Any], address: str) -> None:
    """diffusers would say that a config.json is missing, and not whose."""
    for name, origin in index.items():
        # [library, class], or [null, null] where the pipeline goes without it.
        if isinstance(origin, list) and any(origin) and not (path / name).is_dir():
            raise ModelNotLoadable(
                f"model {address!r}: the folder of its component {name!r} is missing"
            )


def _check_weights(path: Path, address: str) -> None:
    if any(path.rglob("*.safetensors")):
        return
    pickled = next((each for each in path.rglob("*") if each.suffix in UNSAFE_SUFFIXES), None)
    if pickled is not None:
        raise ModelNotLoadable(
            f"model {address!r}: only safetensors weights are loaded, and "
            f"{pickled.relative_to(path)} may run code; convert it with "
            "save_pretrained(FOLDER, safe_serialization=True)"
        )
    raise ModelNotLoadable(f"model {address!r}: there are no safetensors weights in it")


def _revision(path: Path) -> str:
    if path.parent.name == "snapshots":
        return path.name  # the hub's cache names the folder by the commit
    fetched = Record.read(path)
    if fetched is not None and fetched.source.startswith(HUB):
        return fetched.revision
    digest = hashlib.sha256()
    for each in sorted(path.rglob("*")):
        if each.is_file() and PLACE not in each.parts:
            digest.update(str(each.relative_to(path)).encode())
            digest.update(
                each.read_bytes() if each.suffix == ".json" else str(each.stat().st_size).encode()
            )
    return digest.hexdigest()[:12]


def _downloaded(name: str, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    wanted: dict[str, Any] = {
        "allow_patterns": patterns,
        "revision": revision or None,
    }
    try:
        return Path(snapshot_download(repository, **wanted))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelNotLoadable(
            f"model 'hf://{name}' cannot be downloaded: {type(error).__name__}: {error}; check the "
            "name, the network and HF_TOKEN, or give a folder"
        ) from error
