"""Which role a server plays."""

from ..configuration.resolve import Resolved
from ..contract.roles import WORKERS, Role
from ..media.encode import EncodePool
from ..telemetry.metrics import Metrics
from .monolith import Monolith
from .role import ServedRole
from .server_state import ServerState
from .stage_worker import StageWorker


def role_of(
    resolved: Resolved, state: ServerState, metrics: Metrics, pool: EncodePool
) -> ServedRole:
    """As the settings say.

    Raises:
        InvalidSettings: a router that does not know where the roles are.
    """
    if resolved.settings.role in WORKERS:
        return StageWorker(resolved, state, metrics)
    if resolved.settings.role is Role.ROUTER:
        # gRPC's client takes a while to import, and only a router is one.
        from .router import Router

        return Router(resolved, state, metrics, pool)
    return Monolith(resolved, state, metrics, pool)
