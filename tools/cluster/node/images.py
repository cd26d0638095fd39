"""Images for the node's containerd, from archives: there is no registry.

They stay in the user's cache, unpacked. What an archive held is written on the images that came
from it, so that gigabytes are imported once.
"""

import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import IO

from ..errors import ClusterError
from ..layout import Layout
from . import archive
from .places import SOCKET
from .requirements import run_program

# Where the kubelet looks.
NAMESPACE = "k8s.io"
LABEL = "kiln.dev/archive"


def load(layout: Layout, file: Path) -> tuple[str, ...]:
    """Names of the images in ``file``, an OCI or docker archive, which pods can use from now on.

    Nothing is imported when containerd has exactly these already.

    Raises:
        ClusterError: the cluster has no node, or this is no archive, or the import failed.
    """
    if not layout.node:
        raise ClusterError("this cluster has no node, so no images: down, then up --node")
    contents = archive.read(file)
    if not all(_there(layout, name, contents.digest) for name in contents.names):
        _import(layout, str(file))
        for name in contents.names:
            ctr(layout, "images", "label", name, f"{LABEL}={contents.digest}")
    return contents.names


def load_layout(layout: Layout, folder: Path, files: Collection[Path]) -> None:
    """Import the ``files`` of an OCI layout in ``folder``, streamed.

    Layers that are unpacked here need not be among them.
    """
    command = ["tar", "--create", "--directory", str(folder), *map(str, files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as archived:
        _import(layout, "-", archived.stdout)


def names(layout: Layout) -> set[str]:
    """Of all images that pods can use."""
    return set(ctr(layout, "images", "list", "--quiet").split())


def remove(layout: Layout, old: Collection[str]) -> None:
    """Images and those of their layers that no other image has."""
    if old:
        ctr(layout, "images", "remove", *sorted(old))


def unpacked(layout: Layout) -> set[str]:
    """Chain identities of the layers that are here, each on top of all those below it."""
    _, *lines = ctr(layout, "snapshots", "list").splitlines()
    return {line.split()[0] for line in lines}


def ctr(layout: Layout, *arguments: str, stdin: IO[bytes] | None = None) -> str:
    """What containerd's command line prints."""
    program = layout.built["containerd"] / "ctr"
    common = ("--address", str(SOCKET), "--namespace", NAMESPACE)
    return run_program(program, *common, *arguments, stdin=stdin)


def _import(layout: Layout, file: str, stdin: IO[bytes] | None = None) -> None:
    """The layers are unpacked for the pods; a second copy of them has no use."""
    options = ("--local", "--discard-unpacked-layers")
    ctr(layout, "images", "import", *options, file, stdin=stdin)


def _there(layout: Layout, name: str, digest: str) -> bool:
    which = f'name=={name},labels."{LABEL}"=={digest}'
    return bool(ctr(layout, "images", "list", "--quiet", which))
