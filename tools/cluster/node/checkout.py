"""Images of this checkout, built as people build them, and brought to the node.

Everything large is kept in the user's cache: the layers that the builder made, and those that
containerd has unpacked. A change of code builds and brings megabytes.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.images.base import debian
from tools.images.builders import Builder, find, run
from tools.images.checkout import build
from tools.images.errors import ImageError
from tools.images.layers import Image, read, write

from ..errors import ClusterError
from ..layout import Layout
from ..places import cache_folder, locked
from . import archive, images

# The model server without a compiler: there is no GPU on a machine of tests.
TARGETS = ("controller", "model-cpu")
REPOSITORY = "localhost/kiln"
TEMPORARY = "bringing-"
# A change of code leaves some twenty behind, a few megabytes each.
KEPT = 300
NAMED = 12


def builder() -> Builder:
    """buildah, with its images and layers in the user's cache.

    Raises:
        ClusterError: it does not work here.
    """
    try:
        return find("buildah").storing_in(cache_folder() / "buildah")
    except ImageError as error:
        raise ClusterError(str(error)) from error


def built(targets: Sequence[str] = TARGETS) -> dict[str, Image]:
    """The images of ``targets`` as this checkout is now, on a base of Debian's packages.

    Raises:
        ClusterError: a build failed; it has said why.
    """
    chosen = builder()
    found = {}
    try:
        with locked(cache_folder() / "buildah.lock"):
            base = debian(chosen)
            for target in targets:
                tag = f"{REPOSITORY}/{target}:latest"
                build(chosen, target, tag, base)
                found[target] = read(chosen, tag)
            prune(chosen)
    except ImageError as error:
        raise ClusterError(str(error)) from error
    return found


def prune(chosen: Builder, kept: int = KEPT) -> None:
    """Once there are more than ``kept``, remove the images that no named one lies on.

    Layers of packages stay: images lie on them.
    """
    listed = subprocess.run(
        chosen.line("images", "--all", "--quiet"), capture_output=True, text=True, check=True
    )
    if len(listed.stdout.split()) > kept:
        run(chosen.line("rmi", "--prune"))


def reference(image: Image) -> str:
    """The image's name on the node: another one for any other content."""
    repository, _, _ = image.name.rpartition(":")
    return f"{repository}:{image.config.removeprefix('sha256:')[:NAMED]}"


def bring(layout: Layout, image: Image) -> str:
    """Its name on the node, for pods with ``imagePullPolicy: IfNotPresent``.

    It replaces what was built of the same target before.

    Raises:
        ClusterError: the cluster has no node, or the import failed.
    """
    if not layout.node:
        raise ClusterError("this cluster has no node, so no images: down, then up --node")
    name = reference(image)
    there = images.names(layout)
    if name not in there:
        _import(layout, image, name)
    repository, _, _ = name.rpartition(":")
    images.remove(layout, {each for each in there if each.startswith(f"{repository}:")} - {name})
    return name


def _import(layout: Layout, image: Image, name: str) -> None:
    unpacked = images.unpacked(layout)
    missing = {each.digest for each in image.layers if each.chain not in unpacked}
    without = {each for each in image.layers if each.digest not in missing}
    size = sum(each.size for each in image.layers if each.digest in missing)
    print(f"cluster: bringing {name}: {size / 1e6:.0f} MB", file=sys.stderr, flush=True)
    cache = cache_folder()
    for left_by_a_killed_one in cache.glob(f"{TEMPORARY}*"):
        shutil.rmtree(left_by_a_killed_one)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=cache) as temporary:
        folder = Path(temporary)
        try:
            files = write(builder(), image, folder, without)
        except ImageError as error:
            raise ClusterError(str(error)) from error
        _call(folder / "index.json", name)
        images.load_layout(layout, folder, files)


def _call(index: Path, name: str) -> None:
    """Write the image's name where containerd looks for it."""
    content = json.loads(index.read_text(encoding="utf-8"))
    (described,) = content["manifests"]
    described["annotations"] = {archive.NAME_ANNOTATION: name}
    index.write_text(json.dumps(content), encoding="utf-8")
