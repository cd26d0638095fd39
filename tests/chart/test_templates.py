"""What the chart makes of its values."""

from typing import Any

import pytest

from controller import __version__
from controller.__main__ import DEFAULT_IMAGE
from controller.settings import Settings, add_flags, from_flags
from tests.chart.support import CHART, NAMESPACE, VALUES, Helm, Object, container, objects, the
from tools.reference import rights

OF_THE_CLUSTER = ("CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Namespace")
BY_NAME = {file.stem: str(file) for file in VALUES}
DIGEST = "sha256:" + "1" * 64
IMAGES: dict[str, tuple[dict[str, str], str]] = {
    "default": ({}, f"kiln/controller:{__version__}"),
    "registry": (
        {"registry": "registry.example.org:5000/"},
        f"registry.example.org:5000/kiln/controller:{__version__}",
    ),
    "tag": ({"repository": "a/b", "tag": "7"}, "a/b:7"),
    "digest": ({"tag": "7", "digest": DIGEST}, f"kiln/controller@{DIGEST}"),
}


@pytest.fixture(scope="module")
def defaults(helm: Helm) -> list[Object]:
    return helm.template()


@pytest.fixture(scope="module")
def everything(helm: Helm) -> list[Object]:
    return helm.template("-f", BY_NAME["everything"])


@pytest.fixture(scope="module")
def namespaced(helm: Helm) -> list[Object]:
    return helm.template("-f", BY_NAME["namespaced"])


def arguments(found: list[Object]) -> Settings:
    """As the operator itself reads what it is started with."""
    import argparse

    parser = argparse.ArgumentParser()
    add_flags(parser, "none")
    return from_flags(parser.parse_args(container(found)["args"][1:]))


def test_the_operator_understands_its_flags(defaults: list[Object]) -> None:
    assert container(defaults)["command"] == ["python", "-m", "controller"]
    found = arguments(defaults)
    assert (found.image, found.namespaces) == (DEFAULT_IMAGE, ())
    assert (found.leader_elect, found.lease_name) == (True, "kiln-operator")
    assert (found.workers, found.resync) == (4, 60)
    (port,) = container(defaults)["ports"]
    assert found.port == port["containerPort"]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_what_its_values_say(helm: Helm, name: str) -> None:
    image, expected = IMAGES[name]
    found = helm.template(values={"operator": {"image": image}})
    assert container(found)["image"] == expected
    # The test of the release runs the same.
    assert the(found, "Pod")["spec"]["containers"][0]["image"] == expected


def test_servers_get_the_models_image(everything: list[Object]) -> None:
    assert arguments(everything).image == "registry.example.org/kiln/model:1.2"
    (server,) = the(everything, "ClusterServingRuntime")["spec"]["containers"]
    assert server["image"] == "registry.example.org/kiln/model:1.2"


@pytest.mark.parametrize("name", BY_NAME)
def test_c13_pods_fit_the_restricted_profile(helm: Helm, name: str) -> None:
    pods = [
        each["spec"].get("template", each)["spec"]
        for each in helm.template("-f", BY_NAME[name])
        if each["kind"] in ("Deployment", "Pod")
    ]
    assert pods
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for each in pod["containers"]:
            own = each["securityContext"]
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert not own["allowPrivilegeEscalation"]
            assert own["readOnlyRootFilesystem"]
            # What libraries write must have a place.
            assert "/tmp" in [mount["mountPath"] for mount in each["volumeMounts"]]  # noqa: S108


def test_c11_in_the_whole_cluster_it_has_a_role_of_the_cluster(defaults: list[Object]) -> None:
    assert the(defaults, "ClusterRole", "kiln-operator")["rules"] == rights.operator_rules()
    leader = the(defaults, "Role", "kiln-operator-leader")
    assert leader["rules"] == rights.leader_rules()
    assert_bound(defaults)


def test_c11_in_namespaces_it_has_rights_there_and_nowhere_else(namespaced: list[Object]) -> None:
    assert not [each for each in namespaced if each["kind"] in OF_THE_CLUSTER]
    roles = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each["rules"]
        for each in namespaced
        if each["kind"] == "Role"
    }
    assert roles.pop((NAMESPACE, "kiln-operator-leader")) == rights.leader_rules()
    roles.pop(("art", "kiln-try"))
    assert roles == {(each, "kiln-operator"): rights.operator_rules() for each in ("art", "video")}
    assert arguments(namespaced).namespaces == ("art", "video")
    assert_bound(namespaced)


def test_the_test_is_where_the_operator_serves(namespaced: list[Object]) -> None:
    pod = the(namespaced, "Pod")
    assert pod["metadata"]["namespace"] == NAMESPACE
    assert "--namespace=art" in pod["spec"]["containers"][0]["args"]


def test_people_get_the_rights_of_their_role(defaults: list[Object]) -> None:
    for role, rules in rights.people_rules().items():
        made = the(defaults, "ClusterRole", f"kiln-diffusionservices-{role}")
        assert made["rules"] == rules
        assert made["metadata"]["labels"].items() >= rights.aggregation(role).items()


def test_selectors_choose_the_operators_pods_alone(everything: list[Object]) -> None:
    deployment = the(everything, "Deployment")
    selector = deployment["spec"]["selector"]["matchLabels"]
    chosen = deployment["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= chosen.items()
    assert the(everything, "Service")["spec"]["selector"] == selector
    for kind in ("PodDisruptionBudget", "ServiceMonitor"):
        assert the(everything, kind)["spec"]["selector"]["matchLabels"] == selector
    policy = the(everything, "NetworkPolicy", "kiln-oven-operator")
    assert policy["spec"]["podSelector"]["matchLabels"] == selector
    assert not selector.items() <= the(everything, "Pod")["metadata"]["labels"].items()
    # The selector of a Deployment cannot change, so nothing of a version may be in it.
    assert not [name for name in selector if "version" in name or "chart" in name]


def test_every_object_has_the_labels_of_the_release(everything: list[Object]) -> None:
    for each in everything:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "kiln", each["kind"]
        assert labels["team"] == "platform", each["kind"]
    spread = the(everything, "Deployment")["spec"]["template"]
    assert spread["metadata"]["labels"]["team"] == "platform"


def test_the_definition_stays_unless_asked_otherwise(helm: Helm, defaults: list[Object]) -> None:
    keep = {"helm.sh/resource-policy": "keep"}
    (crd,) = objects((CHART.parents[1] / "manifests/crd/diffusionservices.yaml").read_text())
    found = the(defaults, "CustomResourceDefinition")
    assert found["metadata"]["annotations"] == keep
    assert found["spec"] == crd["spec"]
    found = the(helm.template("--set", "crds.keep=false"), "CustomResourceDefinition")
    assert "annotations" not in found["metadata"]


def test_a_runtime_stays_for_those_who_name_it(everything: list[Object]) -> None:
    metadata = the(everything, "ClusterServingRuntime")["metadata"]
    assert metadata["name"] == f"kiln-diffusers-{__version__}"
    assert metadata["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_two_releases_share_no_name(helm: Helm) -> None:
    """But the definition, which only one of them can own."""
    art, video = (
        {
            (each["kind"], each["metadata"]["name"])
            for each in helm.template("--set", "crds.install=false", release=name)
        }
        for name in ("art", "video")
    )
    assert art & video == set()


def test_chart_and_operator_are_of_the_same_version(defaults: list[Object]) -> None:
    (chart,) = objects((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "kubectl wait -n default --for=condition=Ready dsvc/fox"),
        ({}, "DiffusionServices and their pods stay"),
        ({"watchNamespaces": ["art"]}, "kubectl wait -n art --for"),
        ({"crds": {"keep": False}}, "EVERY DiffusionService and its pods"),
        ({"crds": {"install": False}}, "kubectl apply --server-side -f manifests/crd"),
        ({"rbac": {"create": False}}, "No rights were given"),
    ],
)
def test_notes_tell_what_to_do_next(helm: Helm, values: Any, said: str) -> None:
    import yaml

    printed = helm.run(
        *("install", "kiln", str(CHART), "--dry-run=client", "-f", "-"), text=yaml.safe_dump(values)
    )
    assert said in printed.partition("NOTES:")[2]


def assert_bound(found: list[Object]) -> None:
    """Every role of the operator is its own, by a binding of the same name, and nobody else's."""
    account = {"kind": "ServiceAccount", "name": "kiln-operator", "namespace": NAMESPACE}
    for kind in ("Role", "ClusterRole"):
        bound = {
            (each["metadata"].get("namespace"), each["roleRef"]["name"])
            for each in found
            if each["kind"] == f"{kind}Binding" and each["subjects"] == [account]
        }
        made = {
            (each["metadata"].get("namespace"), each["metadata"]["name"])
            for each in found
            if each["kind"] == kind and each["metadata"]["name"].startswith("kiln-operator")
        }
        assert bound == made
