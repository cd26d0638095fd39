"""The kubectl of the cluster's own version, which puts objects there."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import ClusterError
from .layout import Layout

# On the server's side, because KServe's definitions are larger than a client may apply.
APPLY = ("apply", "--server-side", "--field-manager=kiln-test-cluster")
SECONDS = 120


def program(built: Mapping[str, Path]) -> Path:
    """Built with the API server."""
    return built["kubernetes"] / "kubectl"


def apply(layout: Layout, objects: Iterable[Mapping[str, Any]]) -> None:
    """Put ``objects`` into the cluster."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    run(layout, *APPLY, "-f", "-", text=text)


def apply_files(layout: Layout, files: Sequence[Path]) -> None:
    """Put definitions of resources into the cluster, and wait until it serves them."""
    named = [part for file in files for part in ("-f", str(file))]
    run(layout, *APPLY, *named)
    run(layout, "wait", "--for=condition=Established", "--timeout=60s", *named)


def run(layout: Layout, *arguments: str, text: str = "") -> str:
    """What kubectl prints as the cluster's administrator.

    Raises:
        ClusterError: it failed; the message has what it said.
    """
    result = subprocess.run(
        [str(program(layout.built)), "--kubeconfig", str(layout.kubeconfig()), *arguments],
        input=text,
        # Its cache of what the server offers would stay in the user's home folder.
        env={**os.environ, "KUBECACHEDIR": str(layout.file("kubectl"))},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if result.returncode:
        raise ClusterError(f"kubectl {' '.join(arguments)} failed: {result.stderr.strip()}")
    return result.stdout
