"""The API server's own record of what service accounts asked of it and what it answered.

A test may believe it more than what a client says of itself: who wrote how often, and who was
refused for want of a right. Kubernetes' own controllers have service accounts too; they are left
out, and so are people.
"""

from typing import Final

import yaml

from .layout import Layout

POLICY_NAME: Final = "audit-policy.yaml"
LOG_NAME: Final = "audit.log"

POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    # The first rule that fits a request counts.
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


def write_policy(layout: Layout) -> None:
    """What the API server reads at its start."""
    layout.file(POLICY_NAME).write_text(yaml.safe_dump(POLICY, sort_keys=False), encoding="utf-8")
