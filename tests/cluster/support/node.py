"""A cluster with a node for the tests, and all that it must not leave on the machine."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.support import up
from tests.cluster.support.kubectl import Kubectl
from tests.conftest import NOT_OURS
from tests.integration.support.server import wait_until
from tools.cluster import kubectl as built_kubectl
from tools.cluster import record as records
from tools.cluster.build import build_all, find_go, unbuilt
from tools.cluster.errors import GoMissing
from tools.cluster.families import FAMILIES, NODE_FAMILIES
from tools.cluster.node import archive, images, requirements
from tools.cluster.places import cache_folder
from tools.cluster.record import Record

# A program of one file that is a web server, its client, a shell and more.
BUSYBOX = "localhost/kiln-busybox:1"
APPLETS = (
    "sh",
    "httpd",
    "wget",
    "nc",
    "sleep",
    "cat",
    "echo",
    "id",
    "touch",
    "hostname",
    "mount",
    "timeout",
)

# All folders and files that a node makes outside its cluster's own.
PLACES = (
    "/run/kiln-node",
    "/run/containerd",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/opt/containerd",
    "/opt/nri",
    "/usr/libexec/kubernetes",
)
SYSCTLS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def can_run(*further: requirements.Need) -> None:
    """Skip where no node can be, which CI does not accept; build what is missing."""
    if "KUBECONFIG" in os.environ:
        pytest.skip(NOT_OURS)
    needs = (*requirements.NEEDS, *requirements.TEST_NEEDS, *further)
    try:
        requirements.check()
        if packages := requirements.missing(needs):
            pytest.skip(f"not everything is installed: apt install {' '.join(packages)}")
        if unbuilt(FAMILIES | NODE_FAMILIES):
            find_go()
    except (requirements.NodeImpossible, GoMissing) as missing:
        pytest.skip(str(missing))
    build_all(FAMILIES | NODE_FAMILIES)


@contextlib.contextmanager
def brought_up(folder: Path, kubectl_cache: Path) -> Iterator[tuple[Record, Kubectl]]:
    """A cluster with a node that has the image ``BUSYBOX``; nothing of it is left afterwards."""
    place = ("--folder", str(folder))
    before = traces(folder)
    try:
        up.printed("up", "--node", *place, "--owner", str(os.getpid()))
        record = records.read(folder)
        assert record
        busybox(kubectl_cache / "busybox.tar")
        images.load(record.layout, kubectl_cache / "busybox.tar")
        program = built_kubectl.program(record.layout.built)
        yield record, Kubectl(str(program), record.layout.kubeconfig(), kubectl_cache)
    finally:
        up.printed("down", *place)
    after = traces(folder)
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed, f"before and after: {changed}"


def busybox(file: Path, greeting: str = "hello") -> None:
    """Write the archive of ``BUSYBOX``, whose file /greeting has ``greeting``."""
    program = requirements.find("busybox")
    assert program
    content = program.read_bytes()
    assert b"/ld-linux" not in content, "busybox is not static: apt install busybox-static"
    files = {"bin/busybox": content, "greeting": greeting.encode()}
    links = {f"bin/{each}": "busybox" for each in APPLETS}
    archive.write(file, BUSYBOX, files, entrypoint=["/bin/busybox"], links=links)


def within(kubectl: Kubectl, namespace: str) -> Kubectl:
    """A new namespace that enforces the strictest Pod Security, ready for pods."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": namespace, "labels": labels}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    inside = kubectl.within(namespace)
    inside.appearing("serviceaccount", "default")
    return inside


def traces(folder: Path) -> dict[str, list[str]]:
    """What a node does to this machine, as far as it is there now."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    ours = (str(folder), "/run/kiln-node", str(cache_folder() / "images"))
    links = json.loads(subprocess.check_output(["ip", "-json", "link"]))
    tables = subprocess.check_output(["nft", "list", "tables"], text=True).splitlines()
    rules = subprocess.check_output(["iptables-save"], text=True)
    cgroups = Path("/sys/fs/cgroup").glob("**/kiln-node")
    return {
        "processes": [each for each in _processes() if any(name in each for name in ours)],
        "mounts": sorted(line for line in mounts if any(name in line for name in ours)),
        "links": sorted(
            each["ifname"] for each in links if each["ifname"].startswith(("kiln", "veth", "cni"))
        ),
        "tables": sorted(tables),
        "rules": [each for each in rules.splitlines() if "KUBE-" in each],
        "sets": subprocess.check_output(["ipset", "list", "-name"], text=True).split(),
        "cgroups": [str(each) for each in cgroups],
        "places": [each for each in (*PLACES, str(folder)) if Path(each).exists()],
        "sysctls": [Path("/proc/sys", each).read_text().strip() for each in SYSCTLS],
    }


def now(record: Record) -> Record:
    """What runs by now: other tests of the same cluster start its programs anew."""
    found = records.read(record.layout.folder)
    assert found
    return found


def kill_programs(record: Record) -> None:
    """As a power cut would, but for the pods."""
    running = now(record).processes.values()
    for each in running:
        if process := each.process():
            process.kill()
    wait_until(lambda: not any(each.alive for each in running), "the programs are dead", 30)


def _processes() -> Iterator[str]:
    for each in psutil.process_iter(["cmdline", "status"]):
        # Our own command line and the tests' name folders as well.
        if each.info["status"] != psutil.STATUS_ZOMBIE and each.pid != os.getpid():
            yield " ".join(each.info["cmdline"] or ())
