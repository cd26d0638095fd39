"""The node's programs, in the order of their start."""

from ..layout import NODE_HOST, NODE_NAME
from ..program import Program
from . import containerd, dns, kubelet, proxy
from .policies import KUBE_ROUTER

CONTAINERD = Program(
    name="containerd",
    family="containerd",
    binary="containerd",
    flags={"config": "{folder}/containerd.toml"},
    health="http://{host}:{containerd}/v1/metrics",
    prepare=containerd.prepare,
    node=True,
)

KUBELET = Program(
    name="kubelet",
    family="kubernetes",
    binary="kubelet",
    flags={
        "config": "{folder}/kubelet.yaml",
        "kubeconfig": f"{{folder}}/node-{NODE_NAME}.kubeconfig",
        "root-dir": "{folder}/kubelet",
        "node-ip": NODE_HOST,
        "hostname-override": NODE_NAME,
    },
    health="http://{host}:{kubelet_health}/healthz",
    prepare=kubelet.prepare,
    node=True,
)

SCHEDULER = Program(
    name="kube-scheduler",
    family="kubernetes",
    binary="kube-scheduler",
    flags={
        "bind-address": "{host}",
        "secure-port": "{scheduler}",
        "tls-cert-file": "{folder}/loopback.crt",
        "tls-private-key-file": "{folder}/loopback.key",
        "kubeconfig": "{folder}/kube-scheduler.kubeconfig",
        "authentication-kubeconfig": "{folder}/kube-scheduler.kubeconfig",
        "authorization-kubeconfig": "{folder}/kube-scheduler.kubeconfig",
        "leader-elect": "false",
        "profiling": "false",
    },
    health="https://{host}:{scheduler}/readyz",
    node=True,
)

KUBE_PROXY = Program(
    name="kube-proxy",
    family="kubernetes",
    binary="kube-proxy",
    flags={"config": "{folder}/kube-proxy.yaml"},
    health="http://{host}:{proxy_health}/healthz",
    prepare=proxy.prepare,
    node=True,
)

COREDNS = Program(
    name="coredns",
    family="coredns",
    binary="coredns",
    flags={"conf": "{folder}/Corefile"},
    health="http://{host}:{dns_ready}/ready",
    prepare=dns.prepare,
    node=True,
)

# The kubelet before the proxy, which waits for the node's address.
NODE_PROGRAMS = (CONTAINERD, KUBELET, SCHEDULER, KUBE_PROXY, KUBE_ROUTER, COREDNS)
