"""The families of programs: one Go module each, because their dependencies do not agree.

``programs/NAME/go.mod`` lists the programs of a family as ``tool`` lines and pins their versions;
``go.sum`` pins the content of all that goes into them. A further program of a family is a further
``tool`` line; a further family is a further folder and a further entry here.
"""

import hashlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "programs"

# What a build reads of a family's folder: its pins, and our own programs.
SOURCES = (".mod", ".sum", ".go")

# Static programs without build paths in them: the same source gives the same bytes.
BUILD_ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
    "GOWORK": "off",
}


@dataclass(frozen=True, slots=True)
class Family:
    """``module`` is the Go module whose version is the family's; it may be our own one.

    ``version_package`` takes the version at link time, for programs that do not know it themselves.
    ``assets`` are folders of the module that are used beside its programs.
    ``minutes``: of a build with empty caches, on two cores.
    """

    name: str
    module: str
    minutes: float
    version_package: str | None = None
    assets: tuple[str, ...] = ()

    @property
    def source(self) -> Path:
        """The folder of its go.mod and go.sum."""
        return MODULES / self.name


FAMILIES = {
    family.name: family
    for family in (
        Family("etcd", "go.etcd.io/etcd/server/v3", minutes=1),
        Family(
            "kubernetes",
            "k8s.io/kubernetes",
            minutes=8,
            version_package="k8s.io/component-base/version",
        ),
        Family(
            "kserve",
            "github.com/kserve/kserve",
            minutes=4,
            assets=(
                "config/crd/full",
                "config/configmap",
                "config/storagecontainers",
                "config/webhook",
            ),
        ),
    )
}

# What the tests of the chart and of the manifests run. A cluster needs none of it.
CHART_FAMILIES = {
    family.name: family
    for family in (
        Family("helm", "helm.sh/helm/v4", minutes=2.5),
        Family("linters", "github.com/yannh/kubeconform", minutes=1),
        Family("prometheus", "github.com/prometheus/prometheus", minutes=5),
    )
}

# What a node needs beside the control plane's own families, one of which has its kubelet.
NODE_FAMILIES = {
    family.name: family
    for family in (
        Family("containerd", "github.com/containerd/containerd/v2", minutes=2),
        Family("kube-router", "github.com/cloudnativelabs/kube-router", minutes=2),
        Family("coredns", "github.com/coredns/coredns", minutes=3),
        Family("pause", "kiln.dev/tools/cluster/programs/pause", minutes=0.5),
    )
}


def version(family: Family) -> str:
    """As its go.mod pins it, such as ``v1.37.2``; our own modules have none."""
    text = (family.source / "go.mod").read_text(encoding="utf-8")
    if f"module {family.module}\n" in text:
        return "(our own)"
    found = re.search(rf"^(?:require |\t){re.escape(family.module)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{family.source}/go.mod requires no {family.module}")
    return found[1]


def link_flags(family: Family) -> str:
    """No symbol tables: they are half of a program. And its version, where it must be told."""
    flags = ["-s", "-w"]
    if family.version_package:
        whole = version(family)
        major, minor, _ = whole.removeprefix("v").split(".", 2)
        values = {"gitVersion": whole, "gitMajor": major, "gitMinor": minor}
        flags += [f"-X {family.version_package}.{name}={text}" for name, text in values.items()]
    return " ".join(flags)


def content_hash(family: Family) -> str:
    """Equal for equal programs: over all that goes into the build, and what it is built for."""
    content = hashlib.sha256()
    for file in sorted(family.source.iterdir()):
        if file.suffix in SOURCES:
            content.update(file.read_bytes())
    recipe = (BUILD_ENVIRONMENT, link_flags(family), family.assets)
    content.update(repr((recipe, platform.system(), platform.machine())).encode())
    return content.hexdigest()[:12]
