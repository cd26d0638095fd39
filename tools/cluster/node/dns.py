"""The cluster's names: CoreDNS on the machine itself, behind the Service that pods ask."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from .. import kubectl
from ..layout import NODE_HOST, SERVICES, Layout

CLUSTER_DOMAIN = "cluster.local"
DNS_HOST = str(ipaddress.ip_network(SERVICES)[10])
NAME = "kube-dns"
NAMESPACE = "kube-system"

CONFIGURATION = """
.:{dns} {{
  bind {address}
  errors
  health {host}:{dns_health}
  ready {host}:{dns_ready}
  kubernetes {domain} in-addr.arpa ip6.arpa {{
    kubeconfig {kubeconfig}
    pods verified
  }}
  forward . /etc/resolv.conf
  cache 5
}}
"""


def prepare(layout: Layout) -> None:
    """Write CoreDNS's file, and tell the cluster where it will answer."""
    text = CONFIGURATION.format(
        dns=layout.ports["dns"],
        dns_health=layout.ports["dns-health"],
        dns_ready=layout.ports["dns-ready"],
        address=NODE_HOST,
        host=layout.fill("{host}"),
        domain=CLUSTER_DOMAIN,
        kubeconfig=layout.kubeconfig("coredns"),
    )
    layout.file("Corefile").write_text(text, encoding="utf-8")
    kubectl.apply(layout, objects(layout))


def objects(layout: Layout) -> Iterator[dict[str, Any]]:
    """A Service without pods, and its one endpoint on the machine."""
    protocols = ("UDP", "TCP")
    ports = [{"name": each.lower(), "protocol": each, "port": 53} for each in protocols]
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"clusterIP": DNS_HOST, "ports": ports},
    }
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": NAME},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_HOST], "conditions": {"ready": True}}],
        "ports": [{**each, "port": layout.ports["dns"]} for each in ports],
    }
