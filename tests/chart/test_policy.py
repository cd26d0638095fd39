"""Everything that ships is what Kubernetes' own schemas say (kubeconform) and what good practice
says (kube-score).
"""

import functools
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.chart.support import (
    MANIFESTS,
    OVERLAYS,
    ROOT,
    VALUES,
    Failed,
    Helm,
    Object,
    Program,
    objects,
)

VERSION = "1.37"
# How PyPI's copy refers to what its schemas share.
SHARED = "/api/_definitions.json#/$defs/"
REFERENCE = re.compile(rf'"(?:{re.escape(SHARED)}|#/\$defs/)([^"]+)"')
# Definitions of others, which the tests on a cluster ask where they are.
OTHERS = ("ServiceMonitor", "PodMonitor", "PrometheusRule", "ClusterServingRuntime")
# Checks of kube-score that do not fit, and why.
UNFIT = {
    "container-image-pull-policy": "our tags are never reused, and nodes without a registry start",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints spread the pods",
}
SHIPPED = [
    pytest.param("values", None, id="defaults"),
    *(pytest.param("values", file, id=file.stem) for file in VALUES),
    *(pytest.param("overlay", folder, id=f"overlay {folder.name}") for folder in OVERLAYS),
]
# What "bare" leaves out is good practice.
GOOD = [each for each in SHIPPED if each.id != "bare"]


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of schemas by kind, as kubeconform looks for them; each whole in itself."""
    folder = tmp_path_factory.mktemp("schemas")
    own = json.loads((ROOT / "docs/reference/diffusionservice.schema.json").read_text())
    (folder / "diffusionservice-kiln-v1alpha1.json").write_text(json.dumps(own))
    return folder


@pytest.fixture(scope="session")
def conforms(kubeconform: Program, schemas: Path) -> Any:
    """Fails where an object is not what its schema says."""

    def check(found: list[Object]) -> None:
        for each in found:
            _add_schema(schemas, each)
        place = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        flags = ("-strict", "-skip", ",".join(OTHERS), "-schema-location", place)
        kubeconform.run(*flags, text="\n---\n".join(json.dumps(each) for each in found))

    return check


@pytest.fixture(scope="session")
def shipped(helm: Helm, kustomize: Program) -> Any:
    @functools.cache
    def make(kind: str, path: Path | None) -> str:
        if kind == "overlay":
            return kustomize.run(str(path))
        return helm.text(*(("-f", str(path)) if path else ()))

    return make


@pytest.mark.parametrize(("kind", "path"), SHIPPED)
def test_everything_conforms_to_its_schema(
    conforms: Any, shipped: Any, kind: str, path: Path | None
) -> None:
    conforms(objects(shipped(kind, path)))


@pytest.mark.parametrize(("kind", "path"), GOOD)
def test_nothing_is_against_good_practice(
    kube_score: Program, shipped: Any, kind: str, path: Path | None
) -> None:
    unfit = [part for name in UNFIT for part in ("--ignore-test", name)]
    flags = ("--kubernetes-version", f"v{VERSION}", "--exit-one-on-warning", "-o", "ci")
    kube_score.run("score", *flags, *unfit, "-", text=shipped(kind, path))


@pytest.mark.parametrize(
    "path", sorted((MANIFESTS / "samples").glob("*.yaml")), ids=lambda each: each.stem
)
def test_samples_conform_to_the_schema(conforms: Any, path: Path) -> None:
    conforms(objects(path.read_text(encoding="utf-8")))


def test_a_field_that_is_not_there_is_found(conforms: Any) -> None:
    """Neither in Kubernetes' own kinds nor in ours."""
    service = {"apiVersion": "kiln.dev/v1alpha1", "kind": "DiffusionService"}
    for body in (
        {**service, "metadata": {"name": "fox"}, "spec": {"replica": 1}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fox"}, "date": {}},
    ):
        with pytest.raises(Failed, match=r"additional properties '(replica|date)'"):
            conforms([body])


def _add_schema(folder: Path, body: Object) -> None:
    """Of Kubernetes' own kinds. PyPI's copy has what they share in another file."""
    group, _, version = body["apiVersion"].rpartition("/")
    parts = (body["kind"].lower(), group.partition(".")[0], version)
    name = "-".join(each for each in parts if each) + ".json"
    if body["kind"] in OTHERS or (folder / name).exists():
        return
    source = files("kubernetes_validate") / f"kubernetes-json-schema/v{VERSION}.0-local-strict"
    text = (source / name).read_text(encoding="utf-8")
    needed: dict[str, Any] = {}
    missing = set(REFERENCE.findall(text))
    while missing:
        needed |= {each: _definitions()[each] for each in missing}
        missing = {each for one in needed.values() for each in REFERENCE.findall(json.dumps(one))}
        missing -= set(needed)
    whole = json.dumps({**json.loads(text), "$defs": needed})
    (folder / name).write_text(whole.replace(SHARED, "#/$defs/"), encoding="utf-8")


@functools.cache
def _definitions() -> dict[str, Any]:
    source = files("kubernetes_validate") / f"kubernetes-json-schema/v{VERSION}.0-local-strict"
    found = json.loads((source / "_definitions.json").read_text(encoding="utf-8"))
    return dict(found["$defs"])
