"""What a node puts outside its cluster's folder; its end removes all of it but the images."""

import contextlib
from pathlib import Path

from ..places import cache_folder

# Whoever makes this folder has the machine's node. Sockets lie here, whose paths must be short.
STATE = Path("/run/kiln-node")
# The file in it that names the cluster's folder.
CLAIM = STATE / "cluster"
SOCKET = STATE / "containerd.sock"
BRIDGE = "kiln0"
# The network of the pods, to containerd and its plugins, and our own table of nftables.
NETWORK = "kiln-node"
# Parent of the cgroups of all pods.
CGROUP = "kiln-node"

# No setting moves these: links to the logs of containers, what plugins remember of networks, and
# where a kubelet meets those who bring devices.
LOG_LINKS = Path("/var/log/containers")
NETWORK_RESULTS = Path("/var/lib/cni/results")
KUBELET_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")


def images_folder() -> Path:
    """containerd's root. It stays, like the built programs: an image is imported once."""
    return cache_folder() / "images"


def remove_empty(*folders: Path) -> None:
    """Those that have nothing in them; somebody else's may."""
    for each in folders:
        with contextlib.suppress(OSError):
            each.rmdir()
