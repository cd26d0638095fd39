"""The node's bridge, and the way out of it for its pods.

The bridge is there before everything else, because the API server listens at its address.
"""

import contextlib
import ipaddress
import json
from typing import Any

from ..errors import ClusterError
from ..layout import NODE_HOST
from . import policies
from .places import BRIDGE, NETWORK, NETWORK_RESULTS, remove_empty
from .requirements import run

PODS = str(ipaddress.ip_network(f"{NODE_HOST}/24", strict=False))

# Pods that ask somebody outside do so in the machine's name.
WAY_OUT = f"""
table ip {NETWORK} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {PODS} ip daddr != {PODS} fib daddr type != local masquerade
  }}
}}
"""

# Ours, and kube-proxy's.
TABLES = (("ip", NETWORK), ("ip", "kube-proxy"), ("ip6", "kube-proxy"))


def make() -> None:
    """The bridge with the node's address."""
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{NODE_HOST}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")


def open_way_out(file: str) -> None:
    """Load ``file``, which has ``WAY_OUT``."""
    run("nft", "--file", file)


def configuration(folder: str) -> dict[str, Any]:
    """For containerd's network plugins, which remember addresses in ``folder``."""
    return {
        "cniVersion": "1.0.0",
        "name": NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": True,
                # A pod may reach itself through its Service.
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": folder,
                },
            }
        ],
    }


def remove() -> None:
    """The tables, the links and what the plugins remember, as far as they are there."""
    policies.remove()
    tables = json.loads(run("nft", "--json", "list", "tables"))["nftables"]
    there = {(each["table"]["family"], each["table"]["name"]) for each in tables if "table" in each}
    for family, name in there.intersection(TABLES):
        run("nft", "delete", "table", family, name)
    for link in _links("master", BRIDGE):
        # It goes with the namespace of its pod, which may be at this moment.
        with contextlib.suppress(ClusterError):
            run("ip", "link", "delete", link)
    if BRIDGE in _links("type", "bridge"):
        run("ip", "link", "delete", BRIDGE)
    for result in NETWORK_RESULTS.glob(f"{NETWORK}-*"):
        result.unlink()
    remove_empty(NETWORK_RESULTS, NETWORK_RESULTS.parent)


def _links(*which: str) -> list[str]:
    """Names of network links; none where the bridge is not there."""
    with contextlib.suppress(ClusterError):
        listed = json.loads(run("ip", "-json", "link", "show", *which) or "[]")
        return [each["ifname"] for each in listed if each]
    return []
