"""Images for the node's containerd, from archives: there is no registry.

They stay in the user's cache. What an archive held is written on the images that came from it, so
that gigabytes are imported once.
"""

from pathlib import Path

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
        # The layers are unpacked for the pods; a second copy of them has no use.
        ctr(layout, "images", "import", "--local", "--discard-unpacked-layers", str(file))
        for name in contents.names:
            ctr(layout, "images", "label", name, f"{LABEL}={contents.digest}")
    return contents.names


def ctr(layout: Layout, *arguments: str) -> str:
    """What containerd's command line prints."""
    program = layout.built["containerd"] / "ctr"
    return run_program(program, "--address", str(SOCKET), "--namespace", NAMESPACE, *arguments)


def _there(layout: Layout, name: str, digest: str) -> bool:
    which = f'name=={name},labels."{LABEL}"=={digest}'
    return bool(ctr(layout, "images", "list", "--quiet", which))
