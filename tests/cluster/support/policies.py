"""A NetworkPolicy that the operator renders, pods that it is about, and who reaches them."""

import subprocess
import sys

import yaml

from tests.cluster.support import pods
from tests.cluster.support.kubectl import Kubectl, Object

SERVICE = """
apiVersion: kiln.dev/v1alpha1
kind: DiffusionService
metadata: {name: fox}
spec:
  model: {uri: "embedded://"}
  networkPolicy:
    from: [{podSelector: {matchLabels: {may: enter}}}]
"""
ALLOWED = {"may": "enter"}


def rendered() -> Object:
    """For ``SERVICE``, whose pods only ``ALLOWED`` ones may reach."""
    command = [sys.executable, "-m", "controller", "render", "-f", "-"]
    said = subprocess.run(command, input=SERVICE, capture_output=True, text=True, check=True)
    listed = yaml.safe_load_all(said.stdout)
    (found,) = (each for each in listed if each["kind"] == "NetworkPolicy")
    del found["metadata"]["namespace"]
    return dict(found)


def selected(policy: Object) -> dict[str, str]:
    """Labels of the pods that the policy is about."""
    return dict(policy["spec"]["podSelector"]["matchLabels"])


def reaches(kubectl: Kubectl, client: str, server: str) -> bool:
    """Whether the client's question to the server is answered."""
    address = kubectl.get("pod", server)["status"]["podIP"]
    ask = f"timeout 2 wget -q -O - http://{address}:{pods.PORT}/name 2>&1 || true"
    return kubectl.run("exec", client, "--", "sh", "-c", ask).strip() == server
