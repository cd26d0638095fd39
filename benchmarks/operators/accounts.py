"""A namespace for each operator, with a service account that has the rights it needs."""

import json
from pathlib import Path
from typing import Any, Final

import yaml

from .api import Api

GROUP: Final = "rbac.authorization.k8s.io"
RBAC: Final = f"/apis/{GROUP}/v1"
ACCOUNT: Final = "operator"
TOKEN_SECONDS: Final = 4 * 3600
RIGHTS: Final = Path(__file__).parents[2] / "manifests/operator/rbac.yaml"
SHIPPED: Final = ("kiln-operator", "kiln-operator-leader")

Rule = dict[str, Any]

EVERYTHING: Final = ["get", "list", "watch", "create", "patch", "delete"]
# What kopf's documentation says an operator needs, for the kinds that this one has.
BY_HAND: Final[tuple[Rule, ...]] = (
    {
        "apiGroups": ["kiln.dev"],
        "resources": ["diffusionservices", "diffusionservices/status"],
        "verbs": ["get", "list", "watch", "patch"],
    },
    {"apiGroups": [""], "resources": ["services"], "verbs": EVERYTHING},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": EVERYTHING},
    {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["networkpolicies"],
        "verbs": EVERYTHING,
    },
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": EVERYTHING},
    {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
)


def shipped_rules() -> tuple[Rule, ...]:
    """Of Kiln's operator, where it serves one namespace."""
    objects = yaml.safe_load_all(RIGHTS.read_text(encoding="utf-8"))
    return tuple(
        rule
        for each in objects
        if each["kind"] in ("ClusterRole", "Role") and each["metadata"]["name"] in SHIPPED
        for rule in each["rules"]
    )


def make_account(api: Api, namespace: str, rules: tuple[Rule, ...]) -> None:
    """The namespace, the account ``ACCOUNT`` in it, and its rights there."""
    metadata = {"name": ACCOUNT, "namespace": namespace}
    core = f"/api/v1/namespaces/{namespace}"
    api.apply(core, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    api.apply(
        f"{core}/serviceaccounts/{ACCOUNT}",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
    )
    api.apply(
        f"{RBAC}/namespaces/{namespace}/roles/{ACCOUNT}",
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": list(rules),
        },
    )
    api.apply(
        f"{RBAC}/namespaces/{namespace}/rolebindings/{ACCOUNT}",
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
    )


def write_kubeconfig(api: Api, namespace: str, admin: Path, file: Path) -> None:
    """``file`` is ``admin`` with a token of the account, as its pod would have."""
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{ACCOUNT}/token"
    token = api.call("POST", path, asked)["status"]["token"]
    config = yaml.safe_load(admin.read_text(encoding="utf-8"))
    (context,) = config["contexts"]
    context["context"]["user"] = ACCOUNT
    config["users"] = [{"name": ACCOUNT, "user": {"token": token}}]
    file.touch(mode=0o600)
    file.write_text(json.dumps(config), encoding="utf-8")
