"""The manifests make what the chart makes."""

from pathlib import Path

import pytest

from tests.chart.support import MANIFESTS, NAMESPACE, OVERLAYS, Helm, Object, Program, objects

# What Helm alone says of an object, and what only one of the two has.
HELMS = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component",
          "app.kubernetes.io/part-of")  # fmt: skip
VALUES = {
    "cluster-wide": {},
    "namespaced": {
        "watchNamespaces": [NAMESPACE],
        "crds": {"install": False},
        "rbac": {"aggregate": False},
    },
}


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda each: each.name)
def test_an_overlay_is_what_the_chart_makes(helm: Helm, kustomize: Program, overlay: Path) -> None:
    ours = keyed(objects(kustomize.run(str(overlay))))
    namespace = ours.pop(("Namespace", NAMESPACE, None))
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    charts = keyed(
        each
        for each in helm.template(values=VALUES[overlay.name])
        if "helm.sh/hook" not in each["metadata"].get("annotations", {})
    )
    assert set(ours) == set(charts)
    for key, each in ours.items():
        assert plain(each) == plain(charts[key]), key


def test_the_rights_alone_can_be_applied(kustomize: Program) -> None:
    """For an operator that runs elsewhere."""
    kinds = {each["kind"] for each in objects(kustomize.run(str(MANIFESTS / "operator")))}
    assert kinds == {
        "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"
    }  # fmt: skip


def test_images_can_be_those_of_another_registry(kustomize: Program, tmp_path: Path) -> None:
    """As the guide shows it, to the letter."""
    guide = (MANIFESTS.parent / "docs/install.md").read_text(encoding="utf-8")
    block = guide.partition("# kustomization.yaml\n")[2].partition("```")[0]
    (tmp_path / "kiln").symlink_to(MANIFESTS.parent)
    (tmp_path / "kustomization.yaml").write_text(block, encoding="utf-8")
    found = objects(kustomize.run("--load-restrictor=LoadRestrictionsNone", str(tmp_path)))
    (deployment,) = [each for each in found if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.org/kiln/controller:0.1.0"
    images = [each for each in container["args"] if each.startswith("--image")]
    assert images == ["--image=registry.example.org/kiln/model:0.1.0"]


def keyed(found: object) -> dict[tuple[str, str, str | None], Object]:
    assert not isinstance(found, str)
    return {
        (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace")): each
        for each in found  # type: ignore[attr-defined]
    }


def plain(body: Object) -> Object:
    """Without what Helm and kustomize say of it in their own words."""
    metadata = {**body["metadata"]}
    labels = {
        name: text
        for name, text in metadata.pop("labels", {}).items()
        if name not in (*HELMS, *LABELS)
    }
    metadata.pop("annotations", None)
    made = {**body, "metadata": {**metadata, **({"labels": labels} if labels else {})}}
    if body["kind"] == "Deployment":
        made["spec"] = _same_namespaces(body["spec"])
    return made


def _same_namespaces(spec: Object) -> Object:
    """The overlay asks Kubernetes for the namespace that the chart was told."""
    (container,) = spec["template"]["spec"]["containers"]
    args = [each.replace("$(NAMESPACE)", NAMESPACE) for each in container["args"]]
    env = [each for each in container["env"] if each["name"] != "NAMESPACE"]
    pod = {**spec["template"]["spec"], "containers": [{**container, "args": args, "env": env}]}
    return {**spec, "template": {**spec["template"], "spec": pod}}
