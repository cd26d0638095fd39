"""kube-proxy's configuration: the addresses of Services, as rules of nftables."""

from typing import Any

import yaml

from ..layout import NODE_NAME, Layout
from .network import PODS


def prepare(layout: Layout) -> None:
    """Write the file that kube-proxy reads."""
    text = yaml.safe_dump(configuration(layout), sort_keys=False)
    layout.file("kube-proxy.yaml").write_text(text, encoding="utf-8")


def configuration(layout: Layout) -> dict[str, Any]:
    """With health and metrics on the loopback."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE_NAME,
        "clientConnection": {"kubeconfig": str(layout.kubeconfig("system:kube-proxy"))},
        "healthzBindAddress": layout.fill("{host}:{proxy_health}"),
        "metricsBindAddress": layout.fill("{host}:{proxy_metrics}"),
        # The size of the machine's table of connections is not ours to set.
        "conntrack": {"maxPerCore": 0},
    }
