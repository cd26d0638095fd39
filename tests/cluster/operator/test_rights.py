"""The operator with the rights that ship, and no others, in both of its modes (C11).

Every test of this folder runs under the rights of the namespaced mode, and fails when something is
forbidden (see ``start``). Here are the mode that serves all namespaces, and what each mode must not
be able to do.
"""

from collections.abc import Iterator

import pytest

from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

from .conftest import Start, may, shipped_rules, user_name

# What somebody who has taken the operator over must not gain: verb, resource.
NEVER = (
    ("get", "secrets"),
    ("list", "configmaps"),
    ("create", "pods"),
    ("create", "pods/exec"),
    ("delete", "pods"),
    ("create", "serviceaccounts/token"),
    ("update", "diffusionservices"),
    ("delete", "diffusionservices"),
    ("patch", "roles.rbac.authorization.k8s.io"),
    ("list", "nodes"),
    ("list", "customresourcedefinitions.apiextensions.k8s.io"),
    ("list", "namespaces"),
    ("create", "namespaces"),
)


@pytest.fixture
def elsewhere(admin: Kubectl, kubectl: Kubectl) -> Iterator[Services]:
    """Another namespace than that of the operator."""
    name = f"{kubectl.namespace}-elsewhere"
    admin.run("create", "namespace", name)
    yield Services(admin.within(name))
    admin.run("delete", "namespace", name, "--wait=false")


def test_c11_one_operator_serves_all_namespaces_with_the_rights_that_ship(
    kubectl: Kubectl,
    services: Services,
    elsewhere: Services,
    clusterwide_account: Kubectl,
    start: Start,
    kserve: None,
) -> None:
    start("--resync", "600", everywhere=True, user=clusterwide_account)
    services.apply("fox", backend="Auto")
    elsewhere.apply("hen")
    kubectl.appearing("inferenceservice", "fox")
    services.make_ready("fox")
    services.until("fox", "Ready")
    elsewhere.until("hen", "Pulling")


def test_c11_the_rights_that_ship_are_no_more_than_it_needs(
    admin: Kubectl, kubectl: Kubectl, account: Kubectl, clusterwide_account: Kubectl
) -> None:
    user = f"--as={user_name(kubectl)}"
    assert may(admin, "patch", "deployments.apps", user), "the question is asked in the right way"
    gained = [each for each in NEVER if may(kubectl, *each, user)]
    assert not gained


def test_c11_an_operator_of_one_namespace_has_no_right_in_others(
    admin: Kubectl, kubectl: Kubectl, account: Kubectl
) -> None:
    user = f"--as={user_name(kubectl)}"
    wait_until(lambda: may(kubectl, "list", "pods", user), "its rights count", 60)
    several = {
        (verb, resource)
        for rule in shipped_rules()
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert not [each for each in several if may(admin, *each, user)]
