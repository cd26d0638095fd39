"""What the protocols need of whatever role a server plays."""

from collections.abc import Callable
from typing import Any, Protocol

from ..contract.adapter import Adapter
from ..contract.generation import Generation, GenerationRequest
from ..contract.sampling import ModelDescription
from ..contract.watching import Watch
from ..pipelines.requests import Ask
from ..warmup.report import WarmupReport


class ServedRole(Protocol):
    """``description`` is None until the model is loaded."""

    description: ModelDescription | None
    adapter: Adapter | None

    @property
    def report(self) -> WarmupReport: ...

    def spawn(self) -> None: ...

    async def load(self) -> None: ...

    def prepare(self, ask: Ask) -> GenerationRequest: ...

    async def generate(
        self, request: GenerationRequest, watch: Watch | None = None
    ) -> Generation: ...

    def unprove(self) -> None: ...

    async def change_adapter(self, adapter: Adapter | None) -> None: ...

    async def follow(self, turn_ready: Callable[[], None]) -> None:
        """Runs from the first Ready on: others may make a role NotReady, and Ready again."""
        ...

    def roles(self) -> dict[str, Any]:
        """Of the roles that this one leads, for metadata; nothing where it leads none."""
        ...

    async def close(self) -> None: ...
