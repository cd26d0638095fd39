"""KServe's data plane, gated by our state. The stock one says Ready always, and loads a model from
a request that finds it not ready.
"""

from typing import Any

from kserve import ModelRepository
from kserve.protocol.dataplane import DataPlane

from ..errors import UnknownModel
from . import card, gate
from .context import Serving


class GatedDataPlane(DataPlane):  # type: ignore[misc]
    """What KServe's gRPC servicer and our REST routes ask."""

    def __init__(self, registry: ModelRepository, serving: Serving) -> None:
        super().__init__(registry)
        self._serving = serving

    async def ready(self) -> bool:
        return self._serving.state.ready

    async def model_ready(
        self, model_name: str, disable_predictor_health_check: bool = False
    ) -> bool:
        self.get_model_from_registry(model_name)
        return self._serving.state.ready

    def get_model_from_registry(self, name: str) -> Any:
        """Raises:
        UnknownModel: with the name that is served.
        """
        model = self.model_registry.get_model(name)
        if model is None:
            raise UnknownModel(name, self._serving.name)
        return model

    async def get_model(self, name: str) -> Any:
        """The model, once the gate lets requests in; never by loading it.

        Raises:
            NotReady: not yet, or no longer.
        """
        model = self.get_model_from_registry(name)
        await gate.admit(self._serving)
        return model

    def metadata(self) -> dict[str, Any]:
        return card.server_metadata()

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        self.get_model_from_registry(model_name)
        return {
            "name": model_name,
            "versions": card.versions(self._serving),
            "platform": card.PLATFORM,
            "inputs": card.input_tensors(self._serving),
            "outputs": card.output_tensors(self._serving),
        }
