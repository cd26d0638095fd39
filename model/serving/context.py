"""What the protocols share in one server process."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..contract.adapter import Adapter
from ..media.encode import EncodePool
from ..roles.role import ServedRole
from ..roles.server_state import ServerState
from ..settings import Settings
from ..telemetry.metrics import Metrics


def _nobody(_: Adapter | None) -> None:
    raise NotImplementedError("the server's life is not wired to its protocols")


@dataclass(slots=True)
class Serving:
    """``data_plane`` is KServe's, gated by our state. It is None until KServe is imported, which
    takes longer than a server may take to be live; the gate keeps requests out until then.
    ``stages``: the ``StageService`` of a role in a chain, and None of others, which import no gRPC
    before their port is up.
    ``change_adapter`` turns a Ready server into one that warms up with other weights (W42).
    """

    settings: Settings
    state: ServerState
    role: ServedRole
    metrics: Metrics
    pool: EncodePool
    stages: Any = None
    data_plane: Any = None
    change_adapter: Callable[[Adapter | None], None] = _nobody

    @property
    def name(self) -> str:
        """The model's name in URLs."""
        return self.settings.served_name
