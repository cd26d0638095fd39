"""What the protocols share in one server process."""

from dataclasses import dataclass
from typing import Any

from ..media.encode import EncodePool
from ..roles.monolith import Monolith
from ..roles.server_state import ServerState
from ..settings import Settings
from ..telemetry.metrics import Metrics


@dataclass(slots=True)
class Serving:
    """``data_plane`` is KServe's, gated by our state. It is None until KServe is imported, which
    takes longer than a server may take to be live; the gate keeps requests out until then.
    """

    settings: Settings
    state: ServerState
    role: Monolith
    metrics: Metrics
    pool: EncodePool
    data_plane: Any = None

    @property
    def name(self) -> str:
        """The model's name in URLs."""
        return self.settings.served_name
