"""NetworkPolicies, kept by kube-router's firewall: the bridge has no part that reads them.

Its rules lie in the machine's one table of filters, among those of others, and outlive it.
"""

import subprocess

from ..errors import ClusterError
from ..layout import NODE_NAME, SERVICES
from ..program import Program
from .requirements import SYSTEM_PLACES, find, run

# Beginning of the names of its chains, which every rule of its own is in or leads to, and its sets.
OURS = "KUBE-"
TABLE = ("ip", "filter")

KUBE_ROUTER = Program(
    name="kube-router",
    family="kube-router",
    binary="kube-router",
    flags={
        "kubeconfig": "{folder}/kube-router.kubeconfig",
        "hostname-override": NODE_NAME,
        "run-firewall": "true",
        # Addresses and Services are the bridge's and kube-proxy's.
        "run-router": "false",
        "run-service-proxy": "false",
        "enable-cni": "false",
        "service-cluster-ip-range": SERVICES,
        # No flag binds it to the loopback; it says whether it works, and nothing else.
        "health-port": "{policies_health}",
    },
    # It runs iptables and ipset, which not everybody's PATH has.
    environment={"PATH": f"{SYSTEM_PLACES}:/usr/bin:/bin"},
    health="http://{host}:{policies_health}/healthz",
    node=True,
)


def remove() -> None:
    """Its rules and sets, and its table if nobody else has anything in it."""
    saved = run("iptables-save", "--table", TABLE[1]).splitlines()
    others = [line for line in saved if OURS not in line]
    if others != saved:
        _restore("\n".join((*others, "")))
        if not any(line.startswith("-A") for line in others):
            run("nft", "delete", "table", *TABLE)
    if find("ipset"):
        for name in run("ipset", "list", "-name").split():
            if name.startswith(OURS):
                run("ipset", "destroy", name)


def _restore(rules: str) -> None:
    """Replace the table's content, in one step."""
    program = find("iptables-restore")
    if program is None:
        raise ClusterError("iptables-restore is gone: apt install iptables")
    command = [str(program), "--table", TABLE[1]]
    result = subprocess.run(command, input=rules, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(f"{' '.join(command)} failed: {result.stderr.strip()}")
