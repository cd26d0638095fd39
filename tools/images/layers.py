"""The layers of a built image, and the image written out without those that its reader has.

Nearly all of a model image is one layer that a change of code leaves as it was. Whoever has that
layer is sent some megabytes.
"""

import hashlib
import json
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .builders import Builder, run
from .errors import ImageError


@dataclass(frozen=True, slots=True)
class Layer:
    """``digest`` is of the content as it is unpacked, whose size is in bytes. ``chain`` names the
    layer on top of all those below it, as the image specification does."""

    digest: str
    size: int
    chain: str


@dataclass(frozen=True, slots=True)
class Image:
    """``config`` is the digest of its configuration: another one for any other content."""

    name: str
    config: str
    layers: tuple[Layer, ...]

    @property
    def size(self) -> int:
        """In bytes, unpacked."""
        return sum(each.size for each in self.layers)


def read(builder: Builder, name: str) -> Image:
    """The image of that name, which buildah has built.

    Raises:
        ImageError: there is none.
    """
    line = builder.line("inspect", "--type", "image", name)
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"no image {name}: {done.stderr.strip()}")
    manifest: dict[str, Any] = json.loads(json.loads(done.stdout)["Manifest"])
    layers: list[Layer] = []
    for each in manifest["layers"]:
        digest = each["digest"]
        chain = _digest(f"{layers[-1].chain} {digest}") if layers else digest
        layers.append(Layer(digest, each["size"], chain))
    return Image(name, manifest["config"]["digest"], tuple(layers))


def write(builder: Builder, image: Image, folder: Path, without: Collection[Layer]) -> list[Path]:
    """Write the image as an OCI layout into ``folder``; its files, relative to it.

    Layers of ``without`` are named in it, and their content is not there.

    Raises:
        ImageError: the builder failed; it has said why.
    """
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    # A builder does not write what is there already: for it, an empty file of the right size is.
    left_out = [blobs / each.digest.removeprefix("sha256:") for each in without]
    for file, layer in zip(left_out, without, strict=True):
        with file.open("wb") as placeholder:
            placeholder.truncate(layer.size)
    # By its content, for its name may be another build's by now.
    identity = image.config.removeprefix("sha256:")
    run(builder.line("push", "--quiet", "--format", "oci", identity, f"oci:{folder}"))
    for file in left_out:
        file.unlink()
    return sorted(each.relative_to(folder) for each in folder.rglob("*") if each.is_file())


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
