"""Several engines that serve as one (data parallel): each owns a device and holds the model."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from ..contract.adapter import Adapter
from ..contract.generation import Generation, GenerationRequest
from ..contract.sampling import ModelDescription
from ..contract.watching import Watch
from ..errors import StartupError


class Engine(Protocol):
    """Whatever draws requests: one process, its ranks, or several such."""

    @property
    def lost(self) -> StartupError | None: ...

    def spawn(self) -> None: ...

    async def load(self) -> ModelDescription: ...

    async def generate(
        self,
        request: GenerationRequest,
        *,
        limit: float | None = None,
        watch: Watch | None = None,
    ) -> Generation: ...

    async def change_adapter(self, adapter: Adapter | None) -> None: ...

    async def settle(self, settled: bool) -> int: ...

    async def stop(self) -> None: ...


class EngineGroup:
    """In the place of one engine. A request names the engine that runs it; the queue
    sees to it that each has one at a time. Losing one engine is losing the group.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines

    @property
    def lost(self) -> StartupError | None:
        return next((each.lost for each in self._engines if each.lost is not None), None)

    def spawn(self) -> None:
        for each in self._engines:
            each.spawn()

    async def load(self) -> ModelDescription:
        """Wait for all. The description is the first one's, with the devices of all."""
        found = await asyncio.gather(*(each.load() for each in self._engines))
        devices = dict.fromkeys(each.device for each in found)
        return replace(found[0], device=", ".join(devices))

    async def generate(
        self,
        request: GenerationRequest,
        *,
        limit: float | None = None,
        watch: Watch | None = None,
    ) -> Generation:
        assert request.engine is not None
        return await self._engines[request.engine].generate(request, limit=limit, watch=watch)

    async def change_adapter(self, adapter: Adapter | None) -> None:
        await asyncio.gather(*(each.change_adapter(adapter) for each in self._engines))

    async def settle(self, settled: bool) -> int:
        return sum(await asyncio.gather(*(each.settle(settled) for each in self._engines)))

    async def stop(self) -> None:
        await asyncio.gather(*(each.stop() for each in self._engines))
