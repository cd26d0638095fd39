"""Where one cluster has its files and ports: all that its programs must agree on."""

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Everything listens here and is reached here,
HOST = "127.0.0.1"
# but for what pods have to reach in a cluster with a node: that listens at the node's bridge.
NODE_HOST = "10.88.0.1"
NODE_NAME = "node1"
SERVICES = "10.0.0.0/16"

PORTS = (
    "etcd",
    "etcd-peer",
    "etcd-health",
    "apiserver",
    "controller-manager",
    "scheduler",
    "containerd",
    "kubelet",
    "kubelet-health",
    "proxy-health",
    "proxy-metrics",
    "policies-health",
    "dns",
    "dns-health",
    "dns-ready",
    "kserve-health",
    "kserve-webhook",
)

# Each has a kubeconfig of its own. The first is the one for people and tests.
USERS = {
    "admin": ("system:masters",),
    "system:kube-controller-manager": (),
    "system:kube-scheduler": (),
    "system:kube-proxy": (),
    f"system:node:{NODE_NAME}": ("system:nodes",),
    "coredns": ("system:masters",),
    "kube-router": ("system:masters",),
    "kserve-manager": ("system:masters",),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """``built`` has the folder of each family's programs; with a ``node``, pods run."""

    folder: Path
    ports: Mapping[str, int]
    built: Mapping[str, Path]
    node: bool = False

    def file(self, name: str) -> Path:
        """A file of this cluster."""
        return self.folder / name

    def kubeconfig(self, user: str = "admin") -> Path:
        """Of one of ``USERS``."""
        return self.file(f"{user.removeprefix('system:').replace(':', '-')}.kubeconfig")

    @property
    def address(self) -> str:
        """Where the API server listens: where pods reach it, when there are any."""
        return NODE_HOST if self.node else HOST

    @property
    def api_server(self) -> str:
        return f"https://{self.address}:{self.ports['apiserver']}"

    @property
    def authority(self) -> Path:
        """The certificate that every other one is checked against."""
        return self.file("authority.crt")

    def fill(self, template: str) -> str:
        """``template`` with the addresses, the folder and the ports of this cluster."""
        names = {name.replace("-", "_"): str(port) for name, port in self.ports.items()}
        return template.format(
            host=HOST, address=self.address, services=SERVICES, folder=self.folder, **names
        )


def free_ports() -> dict[str, int]:
    """A port for each of ``PORTS`` that nobody has at this moment."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in PORTS]
        for each in held:
            each.bind((HOST, 0))
        return {name: int(each.getsockname()[1]) for name, each in zip(PORTS, held, strict=True)}
