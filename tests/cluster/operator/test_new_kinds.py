"""Software that is installed while the operator runs, removed, and installed again (C07): its kinds
are watched as all others are, in both modes and with no right to look around in the cluster.

The resync, which would heal what no watch tells, comes too late for these tests.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.support.audit import READS, Audit
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.proxy import Proxy
from tests.cluster.support.services import Services
from tests.integration.support.server import wait_until

from .conftest import Start

GROUP = "monitoring.coreos.com"
RESOURCE = "podmonitors"
CRD = ("customresourcedefinition", f"{RESOURCE}.{GROUP}")
POD_MONITORS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{RESOURCE}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "PodMonitor", "plural": RESOURCE, "singular": "podmonitor"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
OK, NOT_FOUND = 200, 404
# A watch that was open when its kind went; reads, while the API server still listed the kind.
FEW = 6


@pytest.fixture
def install(admin: Kubectl, definition: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
    """Defines the kind, which no test before has left behind."""
    wait_until(lambda: admin.find(*CRD) is None, "the kind of an earlier test is gone", 60)

    def define() -> None:
        definition(POD_MONITORS)

    return define


@pytest.mark.parametrize("everywhere", [False, True], ids=["in-one-namespace", "everywhere"])
def test_c07_a_kind_that_comes_and_goes_and_comes_again_is_watched_while_it_is_there(
    admin: Kubectl,
    kubectl: Kubectl,
    services: Services,
    install: Callable[[], None],
    audit: Audit,
    start: Start,
    request: pytest.FixtureRequest,
    everywhere: bool,
) -> None:
    user = request.getfixturevalue("clusterwide_account" if everywhere else "account")
    operator = start("--resync", "600", everywhere=everywhere, user=user)
    services.apply("hen", monitoring={"podMonitor": True})
    services.until("hen", "MissingApi")

    install()
    until_watched(audit, 1)
    made_again_when_deleted(kubectl, operator)

    admin.run("delete", *CRD)
    services.until("hen", "MissingApi")
    services.apply("owl")
    services.until("owl", "Pulling")
    in_vain = [each for each in audit.requests() if each.code == NOT_FOUND]
    assert sum(each.object[0] == RESOURCE and each.verb in READS for each in in_vain) <= FEW
    assert len(operator.events("watches_ended")) <= FEW

    watches = len(watched(audit))
    admin.run("create", "-f", "-", text=json.dumps(POD_MONITORS))
    until_watched(audit, watches + 1)
    made_again_when_deleted(kubectl, operator)
    assert operator.ask("/healthz") == (200, "ok")


def test_c10_what_is_deleted_while_watches_are_begun_anew_is_found_soon(
    kubectl: Kubectl,
    services: Services,
    install: Callable[[], None],
    proxy: Proxy,
    astray: Kubectl,
    start: Start,
) -> None:
    operator = start("--resync", "600", user=astray)
    services.apply("hen", monitoring={"podMonitor": True})
    services.until("hen", "MissingApi")
    proxy.hold = lambda call: call.path == "/apis"  # where they look which kinds there are
    install()
    operator.wait_for("watches_ended")
    kubectl.run("delete", "service", "hen")
    proxy.hold = lambda call: False
    kubectl.appearing("service", "hen")
    assert operator.missed() == 1


def until_watched(audit: Audit, count: int) -> None:
    wait_until(lambda: len(watched(audit)) >= count, "the new kind is watched", 60)


def watched(audit: Audit) -> set[str]:
    """When watches of the kind began. Each is in the log twice, once it has ended."""
    return {
        each.at
        for each in audit.requests()
        if each.verb == "watch" and each.object[0] == RESOURCE and each.code == OK
    }


def made_again_when_deleted(kubectl: Kubectl, operator: OperatorProcess) -> None:
    """By what a watch told."""
    missed = operator.missed()
    before = kubectl.appearing("podmonitor", "hen")["metadata"]["uid"]
    kubectl.run("delete", "podmonitor", "hen")
    assert kubectl.appearing("podmonitor", "hen")["metadata"]["uid"] != before
    assert operator.missed() == missed
