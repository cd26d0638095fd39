"""One engine of two ranks (``--cfg-parallel``): each a process with a device of its own. The first
draws the requests; the second computes a part of each step for it.
"""

import asyncio
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..contract.adapter import Adapter
from ..contract.generation import Generation, GenerationRequest
from ..contract.sampling import ModelDescription
from ..contract.watching import Watch
from ..errors import StartupError
from .messages import EngineOptions, Meeting
from .process import EngineProcess


class RankedEngine:
    """In the place of one ``EngineProcess``. Losing one rank is losing the engine."""

    def __init__(
        self, options: EngineOptions, step_timeout: float, on_lost: Callable[[StartupError], None]
    ) -> None:
        self._ranks = [
            EngineProcess(replace(options, rank=rank), step_timeout, self._lose)
            for rank in range(options.ranks)
        ]
        self._on_lost = on_lost
        self._folder: str | None = None
        self.lost: StartupError | None = None

    @property
    def pids(self) -> list[int | None]:
        """Of the ranks, in order."""
        return [each.pid for each in self._ranks]

    def spawn(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="kiln-ranks-")
        file = Path(self._folder, "meeting")
        ends = multiprocessing.get_context("spawn").Pipe()
        for rank, end in zip(self._ranks, ends, strict=True):
            rank.spawn(Meeting(end, file))

    async def load(self) -> ModelDescription:
        """Wait for all. The description is the first one's, with the devices of all."""
        found = await asyncio.gather(*(each.load() for each in self._ranks))
        devices = dict.fromkeys(each.device for each in found)
        return replace(found[0], device=", ".join(devices))

    async def generate(
        self,
        request: GenerationRequest,
        *,
        limit: float | None = None,
        watch: Watch | None = None,
    ) -> Generation:
        return await self._ranks[0].generate(request, limit=limit, watch=watch)

    async def change_adapter(self, adapter: Adapter | None) -> None:
        await asyncio.gather(*(each.change_adapter(adapter) for each in self._ranks))

    async def settle(self, settled: bool) -> int:
        return sum(await asyncio.gather(*(each.settle(settled) for each in self._ranks)))

    async def stop(self) -> None:
        await asyncio.gather(*(each.stop() for each in self._ranks))
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _lose(self, reason: StartupError) -> None:
        """Of any rank. What the others would say of it later says less."""
        if self.lost is not None:
            return
        self.lost = reason
        for each in self._ranks:
            each.lose(reason)
        self._on_lost(reason)
