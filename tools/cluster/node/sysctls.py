"""The kernel's settings that a node changes, and their values from before."""

import contextlib
import json
from pathlib import Path

from ..layout import Layout

SYSCTLS = Path("/proc/sys")
NAME = "sysctls.json"

# What we set: pods' packets go to and fro, and rules see what passes over the bridge.
WANTED = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}
# What the kubelet sets.
CHANGED = (
    *WANTED,
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def change(layout: Layout) -> None:
    """Write down what was, and set what we need."""
    files = {name: SYSCTLS / name for name in CHANGED}
    before = {name: file.read_text().strip() for name, file in files.items() if file.exists()}
    layout.file(NAME).write_text(json.dumps(before, indent=2), encoding="utf-8")
    for name, value in WANTED.items():
        (SYSCTLS / name).write_text(value)


def restore(folder: Path) -> None:
    """Set what was, if it was written down."""
    with contextlib.suppress(FileNotFoundError):
        before: dict[str, str] = json.loads((folder / NAME).read_text(encoding="utf-8"))
        for name, value in before.items():
            if (SYSCTLS / name).read_text().strip() != value:
                (SYSCTLS / name).write_text(value)
