"""The kubelet's configuration, and the image of every pod's first process."""

from typing import Any

import yaml

from ..layout import NODE_HOST, Layout
from . import archive, images
from .containerd import PAUSE
from .dns import CLUSTER_DOMAIN, DNS_HOST
from .places import CGROUP, SOCKET

API = "kubelet.config.k8s.io/v1beta1"


def prepare(layout: Layout) -> None:
    """Write what the kubelet reads, and give containerd the image for its sandboxes."""
    text = yaml.safe_dump(configuration(layout), sort_keys=False)
    layout.file("kubelet.yaml").write_text(text, encoding="utf-8")
    program = layout.built["pause"] / "pause"
    file = layout.file("pause.tar")
    archive.write(file, PAUSE, {"pause": program.read_bytes()}, entrypoint=["/pause"])
    images.load(layout, file)


def configuration(layout: Layout) -> dict[str, Any]:
    """Of a node on a machine that is no node otherwise: its disk may be full, its memory shared."""
    return {
        "apiVersion": API,
        "kind": "KubeletConfiguration",
        "address": NODE_HOST,
        "port": layout.ports["kubelet"],
        "healthzBindAddress": layout.fill("{host}"),
        "healthzPort": layout.ports["kubelet-health"],
        "tlsCertFile": str(layout.file("loopback.crt")),
        "tlsPrivateKeyFile": str(layout.file("loopback.key")),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        # Some machines still have them.
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "evictionHard": {},
        # Images are ours to import, and to remove.
        "imageGCHighThresholdPercent": 100,
        "oomScoreAdj": 0,
        # Rules for packets are kube-proxy's here.
        "makeIPTablesUtilChains": False,
        "clusterDNS": [DNS_HOST],
        "clusterDomain": CLUSTER_DOMAIN,
        "podLogsDir": str(layout.file("pods")),
        "volumePluginDir": str(layout.file("volume-plugins")),
        # The tests wait for what a node says of its pods.
        "nodeStatusUpdateFrequency": "2s",
        "syncFrequency": "5s",
    }
