"""Which role a server plays."""

from ..configuration.resolve import Resolved
from ..contract.roles import WORKERS
from ..media.encode import EncodePool
from ..telemetry.metrics import Metrics
from .monolith import Monolith
from .role import ServedRole
from .server_state import ServerState
from .stage_worker import StageWorker


def role_of(
    resolved: Resolved, state: ServerState, metrics: Metrics, pool: EncodePool
) -> ServedRole:
    """As the settings say."""
    if resolved.settings.role in WORKERS:
        return StageWorker(resolved, state, metrics)
    return Monolith(resolved, state, metrics, pool)
