"""Install, upgrade, rollback, uninstall: what happens to the operator, and to nobody else."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.support import Failed
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

from .conftest import DEFINITION, Release, Run

# For a definition that somebody applied by hand: it belongs to kubectl so far.
ADOPT = ("--take-ownership", "--force-conflicts")
CRD = ("customresourcedefinition", "diffusionservices.kiln.dev")


def can(account: Kubectl, verb: str, what: str, namespace: str) -> bool:
    """What the API server says of its rights."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {
            "resourceAttributes": {
                "verb": verb,
                "namespace": namespace,
                "group": what.partition(".")[2],
                "resource": what.partition(".")[0],
            }
        },
    }
    said = account.run("create", "-f", "-", "--validate=false", "--output=json",
                       text=json.dumps(review))  # fmt: skip
    return bool(json.loads(said)["status"]["allowed"])


def unchanged(kubectl: Kubectl) -> tuple[str, int]:
    """Changes when the pods would be others."""
    found = kubectl.get("deployment", "fox")
    return found["metadata"]["uid"], found["metadata"]["generation"]


def test_c11_the_whole_cluster_is_served_with_the_charts_rights(
    release: Release, run: Run, services: Services, kubectl: Kubectl, tmp_path: Path
) -> None:
    release.install()
    run()
    services.apply("fox")
    services.until("fox", "Pulling")
    account = release.account(tmp_path / "asked.kubeconfig")
    assert can(account, "create", "deployments.apps", "default")
    assert not can(account, "get", "secrets", kubectl.namespace)
    assert not can(account, "delete", "diffusionservices.kiln.dev", kubectl.namespace)
    assert not can(account, "create", "pods", kubectl.namespace)


def test_c11_one_namespace_is_served_with_no_right_in_others(
    release: Release, run: Run, services: Services, kubectl: Kubectl, tmp_path: Path
) -> None:
    release.install("--set", f"watchNamespaces={{{kubectl.namespace}}}", "--set",
                    "rbac.aggregate=false")  # fmt: skip
    run()
    services.apply("fox")
    services.until("fox", "Pulling")
    account = release.account(tmp_path / "asked.kubeconfig")
    assert can(account, "create", "deployments.apps", kubectl.namespace)
    assert not can(account, "list", "diffusionservices.kiln.dev", "default")
    assert not can(account, "list", "namespaces", "")


def test_c09_upgrade_rollback_and_uninstall_leave_what_serves(
    release: Release, run: Run, services: Services, kubectl: Kubectl
) -> None:
    release.install("--set", f"watchNamespaces={{{kubectl.namespace}}}")
    run()
    services.apply("fox")
    services.until("fox", "Pulling")
    before = unchanged(kubectl)
    for change in (lambda: release.upgrade("--set-string", "model.image.tag=2"), release.rollback):
        change()
        operator = run()
        wait_until(functools.partial(operator.reconciles), "the service was looked at", 60)
        assert unchanged(kubectl) == before
    operator.close()
    release.uninstall()
    assert kubectl.find("deployment", release.operator) is None
    assert kubectl.find("serviceaccount", release.operator) is None
    assert unchanged(kubectl) == before
    assert kubectl.find("dsvc", "fox")


def test_c09_an_upgrade_changes_the_image_that_new_services_get(
    release: Release, services: Services
) -> None:
    release.install()
    assert "--image=kiln/model:0.1.0" in release.flags()
    release.upgrade("--set-string", "model.image.tag=2")
    assert "--image=kiln/model:2" in release.flags()
    release.rollback()
    assert "--image=kiln/model:0.1.0" in release.flags()


def test_c13_a_namespace_that_enforces_restricted_takes_the_operators_pods(
    release: Release, kubectl: Kubectl
) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl.run("label", "namespace", kubectl.namespace, label)
    release.install()
    chosen = f"--selector=app.kubernetes.io/instance={release.name}"
    wait_until(lambda: len(kubectl.get("pods", chosen)["items"]) == 2, "both pods exist", 60)


@pytest.fixture
def own_definition(release: Release, admin: Kubectl, crd: None) -> Iterator[Release]:
    """A release that took over the definition; nobody owns it afterwards."""
    release.install("--set", "crds.install=true", *ADOPT)
    yield release
    release.uninstall()
    notes = [f"meta.helm.sh/release-{each}-" for each in ("name", "namespace")]
    admin.run("annotate", *CRD, *notes, "helm.sh/resource-policy-")
    admin.run("label", *CRD, "app.kubernetes.io/managed-by-")
    admin.run("apply", "--server-side", "--force-conflicts", "-f", str(DEFINITION))


def columns(admin: Kubectl) -> list[Any]:
    return [
        each["name"] for each in admin.get(*CRD)["spec"]["versions"][0]["additionalPrinterColumns"]
    ]


def test_the_definition_is_brought_up_to_date_and_stays(
    own_definition: Release, admin: Kubectl, services: Services, kubectl: Kubectl
) -> None:
    release = own_definition
    whole = columns(admin)
    cut = [{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns/0"}]
    admin.run("patch", *CRD, "--type=json", "-p", json.dumps(cut))
    assert columns(admin) == whole[1:]
    release.upgrade("--set", "operator.workers=2", "--force-conflicts")
    assert columns(admin) == whole
    services.apply("fox")
    uid = admin.get(*CRD)["metadata"]["uid"]
    release.uninstall()
    assert admin.get(*CRD)["metadata"]["uid"] == uid
    assert kubectl.find("dsvc", "fox")
    # The next one of this name takes it up again.
    release.install("--set", "crds.install=true")
    assert admin.get(*CRD)["metadata"]["uid"] == uid


def test_a_second_owner_of_the_definition_is_refused_by_name(own_definition: Release) -> None:
    other = Release(own_definition.helm, own_definition.kubectl, f"{own_definition.name}-b")
    with pytest.raises(Failed, match=r"diffusionservices\.kiln\.dev.*cannot be imported"):
        other.install("--set", "crds.install=true")
    other.install()
    other.uninstall()
