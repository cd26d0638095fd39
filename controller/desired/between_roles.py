"""What pods of roles need to know of each other: where the router finds its workers, and the token
that they show each other.
"""

from collections.abc import Iterator
from typing import Final

from model.contract.flags import GRPC_PORT, Flag
from model.contract.roles import Role

from ..api.base import Object
from ..api.template import ROLES_FOLDER
from .plan import Part, Plan

VOLUME: Final = "role-token"
KEY: Final = "token"
WHERE: Final = {
    Role.ENCODER: Flag.ENCODERS,
    Role.DENOISER: Flag.DENOISERS,
    Role.DECODER: Flag.DECODERS,
}


def flags(plan: Plan, part: Part) -> Iterator[tuple[Flag, object]]:
    """None of them without roles."""
    if part.role is Role.ROUTER:
        for worker in plan.workers:
            # The name of its headless Service alone: DNS of the pod's own namespace has it at once.
            yield WHERE[worker.role], f"dns://{worker.name}:{GRPC_PORT}"
    if _secret(plan) is not None:
        yield Flag.ROLE_TOKEN_FILE, f"{ROLES_FOLDER}/{KEY}"


def volumes(plan: Plan) -> list[Object]:
    """Nobody but the kubelet reads the Secret."""
    name = _secret(plan)
    if name is None:
        return []
    items = [{"key": KEY, "path": KEY}]
    return [{"name": VOLUME, "secret": {"secretName": name, "items": items}}]


def mounts(plan: Plan) -> list[Object]:
    if _secret(plan) is None:
        return []
    return [{"name": VOLUME, "mountPath": ROLES_FOLDER, "readOnly": True}]


def _secret(plan: Plan) -> str | None:
    roles = plan.service.spec.roles
    return roles.token_secret_ref.name if roles and roles.token_secret_ref else None
