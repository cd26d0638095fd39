"""What a node needs of the machine: root, a kernel's features, and a few Debian packages."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import ClusterError

ROOT = "a node needs root: run as root, or leave out the node"
LINUX = "a node needs Linux"
# Debian's, and where everybody else puts them.
NETWORK_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
# Without it, an answer from pod to pod goes past the rules that sent its question there.
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
# Not everybody's PATH has them.
SYSTEM_PLACES = "/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Need:
    """A Debian package and what it is needed for: a command, or files below one of the folders."""

    package: str
    command: str = ""
    folders: tuple[Path, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def there(self) -> bool:
        if self.command:
            return find(self.command) is not None
        return any(all((each / file).exists() for file in self.files) for each in self.folders)


NEEDS = (
    Need("runc", command="runc"),
    Need("nftables", command="nft"),
    Need("iptables", command="iptables"),
    Need("ipset", command="ipset"),
    Need("iproute2", command="ip"),
    Need("mount", command="umount"),
    Need(
        "containernetworking-plugins",
        folders=NETWORK_PLUGINS,
        files=("bridge", "host-local"),
    ),
)
# The tests' pods run it.
TEST_NEEDS = (Need("busybox-static", command="busybox"),)
# What makes our own images, where no registry has a base for them.
IMAGE_NEEDS = (Need("buildah", command="buildah"), Need("debootstrap", command="debootstrap"))


class NodeImpossible(ClusterError):
    """This machine cannot run a node as it is."""


def check() -> None:
    """Return when a node can be brought up here.

    Raises:
        NodeImpossible: the message has everything that is missing.
    """
    if reasons := [*_unfit(), *_uninstalled()]:
        raise NodeImpossible("; ".join(reasons))


def missing(needs: tuple[Need, ...]) -> list[str]:
    """Debian packages to install."""
    return [each.package for each in needs if not each.there]


def install(packages: list[str]) -> None:
    """Install Debian packages.

    Raises:
        ClusterError: apt-get failed; it has said why.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "--quiet"],
        ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *packages],
    ):
        print(f"cluster: {' '.join(command)}", file=sys.stderr, flush=True)
        if subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode:
            raise ClusterError(f"{' '.join(command)} failed; its message is above")


def find(command: str) -> Path | None:
    """Its file, also where only root's shells look."""
    found = shutil.which(command, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PLACES}")
    return Path(found) if found else None


def run(command: str, *arguments: str) -> str:
    """What one of the needed commands prints.

    Raises:
        ClusterError: it failed; the message has what it said.
    """
    program = find(command)
    if program is None:
        raise ClusterError(f"{command} is gone: apt install {' '.join(missing(NEEDS))}")
    return run_program(program, *arguments)


def run_program(program: Path, *arguments: str, stdin: IO[bytes] | None = None) -> str:
    """The same for a file."""
    command = [str(program), *arguments]
    result = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        said = result.stderr.strip() or result.stdout.strip()
        raise ClusterError(f"{' '.join(command)} failed: {said}")
    return result.stdout


def network_plugins() -> Path:
    """The folder of the network plugins."""
    return next(each for each in NETWORK_PLUGINS if (each / "bridge").exists())


def _unfit() -> list[str]:
    if sys.platform != "linux":
        return [LINUX]
    reasons = []
    if os.geteuid() != 0:
        reasons.append(ROOT)
    if not BRIDGE_FILTER.exists():
        reasons.append(f"{BRIDGE_FILTER} is not there: modprobe br_netfilter")
    return reasons


def _uninstalled() -> list[str]:
    packages = missing(NEEDS)
    return [f"not everything is installed: apt install {' '.join(packages)}"] if packages else []
