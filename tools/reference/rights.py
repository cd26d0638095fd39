"""What the operator may do, from the table of kinds that it works with: a kind that it does not
know is one that it has no right to. The chart and the manifests are both made of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from controller.api import names
from controller.api.kinds import CHILDREN, EVENT, LEASE, POD, SERVICE

from ..yaml_text import yaml_text

Object = dict[str, Any]

RBAC: Final = "rbac.authorization.k8s.io"
ACCOUNT: Final = "kiln-operator"
NAMESPACE: Final = "kiln-system"
WATCH: Final = ("get", "list", "watch")
OWN: Final = (*WATCH, "create", "patch", "delete")
EDIT: Final = ("create", "update", "patch", "delete", "deletecollection")
# Roles of the cluster that people commonly have, and those that are to have the same rights.
FOLLOWERS: Final = {"view": ("view", "edit", "admin"), "edit": ("edit", "admin")}

HEADER: Final = "# Generated from controller/api/kinds.py by `make generate`.\n"
CLUSTER_WIDE: Final = """\
# What the operator may do in a whole cluster, and nothing else: the tests on a cluster run it with
# these very rights.
"""
NAMESPACED: Final = """\
# What the operator may do where it serves its own namespace only. Nothing of the cluster is in it.
"""


def operator_rules() -> list[Object]:
    """In every namespace that it serves."""
    return [
        _rule(SERVICE.group, SERVICE.plural, WATCH),
        _rule(SERVICE.group, f"{SERVICE.plural}/status", ("patch",)),
        _rule(POD.group, POD.plural, WATCH),
        *(_rule(each.group, each.plural, OWN) for each in CHILDREN),
        _rule(EVENT.group, EVENT.plural, ("create",)),
    ]


def leader_rules() -> list[Object]:
    """In its own namespace, where it is decided who leads."""
    return [_rule(LEASE.group, LEASE.plural, ("get", "create", "update"))]


def people_rules() -> dict[str, list[Object]]:
    """What the roles of people get of DiffusionServices, by role."""
    scaled = f"{SERVICE.plural}/scale"
    return {
        "view": [
            _rule(SERVICE.group, SERVICE.plural, WATCH),
            _rule(SERVICE.group, f"{SERVICE.plural}/status", ("get",)),
        ],
        "edit": [
            _rule(SERVICE.group, SERVICE.plural, EDIT),
            _rule(SERVICE.group, scaled, ("get", "update", "patch")),
        ],
    }


def chart_rights() -> str:
    """The rules alone, which the chart's templates put into roles."""
    return HEADER + yaml_text(
        {
            "operator": operator_rules(),
            "leader": leader_rules(),
            "people": people_rules(),
        }
    )


def cluster_wide() -> str:
    """For ``kubectl apply``: the operator serves every namespace."""
    return (
        HEADER
        + CLUSTER_WIDE
        + _documents(
            _account(),
            _role("ClusterRole", ACCOUNT, operator_rules()),
            _binding("ClusterRole", ACCOUNT),
            *_leader(),
            *(_aggregated(role, rules) for role, rules in people_rules().items()),
        )
    )


def namespaced() -> str:
    """For ``kubectl apply``: the operator serves the namespace that it runs in."""
    return (
        HEADER
        + NAMESPACED
        + _documents(
            _account(),
            _role("Role", ACCOUNT, operator_rules()),
            _binding("Role", ACCOUNT),
            *_leader(),
        )
    )


def _rule(group: str, resource: str, verbs: Sequence[str]) -> Object:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


def _account() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata("Role", ACCOUNT),
        # The operator's own pods ask for it.
        "automountServiceAccountToken": False,
    }


def _leader() -> Iterator[Object]:
    name = f"{ACCOUNT}-leader"
    yield _role("Role", name, leader_rules())
    yield _binding("Role", name)


def _role(kind: str, name: str, rules: Iterable[Object]) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": _metadata(kind, name),
        "rules": list(rules),
    }


def _binding(kind: str, name: str) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": _metadata(kind, name),
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
    }


def _aggregated(role: str, rules: Iterable[Object]) -> Object:
    made = _role("ClusterRole", f"kiln-{names.PLURAL}-{role}", rules)
    made["metadata"]["labels"] = aggregation(role)
    return made


def aggregation(role: str) -> dict[str, str]:
    """Labels by which the cluster adds our rules to roles of its own."""
    return {f"{RBAC}/aggregate-to-{each}": "true" for each in FOLLOWERS[role]}


def _metadata(kind: str, name: str) -> Object:
    return {"name": name, **({} if kind == "ClusterRole" else {"namespace": NAMESPACE})}


def _documents(*objects: Object) -> str:
    return "---\n".join(yaml_text(each) for each in objects)
