"""The cluster is real in what an operator relies on: rights, validation, conflicts, owners."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cluster.support.kubectl import Kubectl
from tests.integration.support.server import wait_until
from tools.cluster.families import FAMILIES, version

READ_CONFIG_MAPS = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]

GROUP = "tests.kiln.dev"
OVENS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"ovens.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Oven", "plural": "ovens", "singular": "oven"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "from": {"type": "integer"},
                                    "to": {"type": "integer", "default": 1200},
                                },
                                "x-kubernetes-validations": [
                                    {
                                        "rule": "self.from <= self.to",
                                        "message": "from must not be above to: lower from",
                                    }
                                ],
                            }
                        },
                    }
                },
            }
        ],
    },
}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def oven(**spec: int) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Oven",
        "metadata": {"name": "kiln"},
        "spec": spec,
    }


def test_our_api_server_is_of_the_pinned_version(our_cluster: Path, admin: Kubectl) -> None:
    found = json.loads(admin.run("get", "--raw", "/version"))
    assert found["gitVersion"] == version(FAMILIES["kubernetes"])


def test_service_account_is_who_its_token_says(
    kubectl: Kubectl, service_account: Callable[..., Kubectl]
) -> None:
    reader = service_account("reader", [])
    review = json.loads(reader.run("auth", "whoami", "--output=json"))
    name = f"system:serviceaccount:{kubectl.namespace}:reader"
    assert review["status"]["userInfo"]["username"] == name


def test_service_account_may_do_what_its_role_says_and_nothing_else(
    kubectl: Kubectl, service_account: Callable[..., Kubectl]
) -> None:
    kubectl.apply(config_map("glaze", colour="blue"))
    stranger = service_account("stranger", [])
    assert "configmaps" in (said := stranger.refused("get", "configmaps")), said
    assert "forbidden" in said

    reader = service_account("reader", READ_CONFIG_MAPS)
    # The authorizer learns of a new role by its watch, so not with the answer to its creation.
    wait_until(lambda: "yes" in _may(reader, "list"), "the role counts", 30)
    assert reader.get("configmap", "glaze")["data"] == {"colour": "blue"}
    assert "forbidden" in reader.refuses(config_map("glaze", colour="red"))
    assert "forbidden" in reader.within("default").refused("get", "configmaps")


def test_rules_of_a_definition_are_enforced_with_their_message(
    kubectl: Kubectl, definition: Callable[[dict[str, Any]], None]
) -> None:
    definition(OVENS)
    said = kubectl.refuses(oven(**{"from": 1300}))
    assert "from must not be above to: lower from" in said
    kubectl.apply(oven(**{"from": 20}))
    assert kubectl.get("ovens.tests.kiln.dev", "kiln")["spec"] == {"from": 20, "to": 1200}
    misspelt = json.dumps(oven(**{"from": 20, "too": 30}))
    assert 'unknown field "spec.too"' in kubectl.refused("create", "-f", "-", text=misspelt)


def test_server_side_apply_tells_of_conflicts(kubectl: Kubectl) -> None:
    kubectl.apply(config_map("glaze", colour="blue", finish="matt"), manager="one")
    kubectl.apply(config_map("glaze", finish="matt"), manager="two")
    said = kubectl.refuses(config_map("glaze", colour="red"), manager="two")
    assert "conflict" in said
    assert '"one"' in said
    assert ".data.colour" in said
    assert kubectl.get("configmap", "glaze")["data"] == {"colour": "blue", "finish": "matt"}


def test_children_go_with_their_owner(kubectl: Kubectl) -> None:
    kubectl.apply(config_map("owner"))
    uid = kubectl.get("configmap", "owner")["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [reference]
    kubectl.apply(child)
    kubectl.run("delete", "configmap", "owner")
    kubectl.vanishing("configmap", "child")


def _may(kubectl: Kubectl, verb: str) -> str:
    try:
        return kubectl.run("auth", "can-i", verb, "configmaps")
    except AssertionError as refusal:
        return str(refusal)
