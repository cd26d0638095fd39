"""The kubectl of the cluster's own version, which puts objects there."""

import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import ClusterError
from .layout import Layout

# On the server's side, because KServe's definitions are larger than a client may apply.
APPLY = ("apply", "--server-side", "--field-manager=kiln-test-cluster")
SECONDS = 120
SERVED_SECONDS = 60.0
POLL_SECONDS = 0.2


def program(built: Mapping[str, Path]) -> Path:
    """Built with the API server."""
    return built["kubernetes"] / "kubectl"


def apply(layout: Layout, objects: Iterable[Mapping[str, Any]]) -> None:
    """Put ``objects`` into the cluster."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    run(layout, *APPLY, "-f", "-", text=text)


def apply_files(layout: Layout, files: Sequence[Path]) -> None:
    """Put definitions of resources there, and wait until the cluster serves what they define."""
    named = [part for file in files for part in ("-f", str(file))]
    applied = run(layout, *APPLY, "--output=name", *named).split()
    wanted = {name.partition("/")[2] for name in applied}
    deadline = time.monotonic() + SERVED_SECONDS
    # Not `kubectl wait`, which fails on a definition so new that it has no conditions at all.
    while missing := wanted - set(run(layout, "api-resources", "--output=name").split()):
        if time.monotonic() > deadline:
            raise ClusterError(f"not served after {SERVED_SECONDS:g} s: {', '.join(missing)}")
        time.sleep(POLL_SECONDS)


def run(layout: Layout, *arguments: str, text: str = "") -> str:
    """What kubectl prints as the cluster's administrator.

    Raises:
        ClusterError: it failed; the message has what it said.
    """
    try:
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
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"kubectl {' '.join(arguments)}: no end after {SECONDS} s") from error
    if result.returncode:
        raise ClusterError(f"kubectl {' '.join(arguments)} failed: {result.stderr.strip()}")
    return result.stdout
