"""W21: an engine of two ranks: what it draws, and how it ends when one of them does."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Task
from model.engine.messages import EngineOptions
from model.engine.ranked import RankedEngine
from model.errors import EngineDied, EngineLost, EngineStuck, ModelNotLoadable, StartupError

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIONS = EngineOptions("embedded://", threads=1, ranks=2)
PATIENCE = 90.0
REQUEST = GenerationRequest(
    id="picture",
    task=Task.TEXT_TO_IMAGE,
    prompts=("a red fox on a blue background",),
    sampling=Sampling(width=128, height=128, num_inference_steps=1000, guidance_scale=2.0),
    seeds=(7,),
    negative_prompts=("",),
    cfg=True,
)


class Engine:
    """An engine, its processes, and the reasons for which it was lost."""

    def __init__(self, options: EngineOptions, step_timeout: float) -> None:
        self.ranked = RankedEngine(options, step_timeout, self._note)
        self.losses: list[StartupError] = []
        self._lost = asyncio.Event()

    def _note(self, reason: StartupError) -> None:
        self.losses.append(reason)
        self._lost.set()

    async def loss(self) -> StartupError:
        async with asyncio.timeout(PATIENCE):
            await self._lost.wait()
        return self.losses[0]

    @property
    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(each) for each in self.ranked.pids]


@asynccontextmanager
async def engine_of(
    options: EngineOptions = OPTIONS, step_timeout: float = PATIENCE
) -> AsyncIterator[Engine]:
    """Spawned and not loaded; stopped at the end, when no process is left."""
    engine = Engine(options, step_timeout)
    engine.ranked.spawn()
    processes = engine.processes
    try:
        yield engine
    finally:
        await engine.ranked.stop()
    assert not any(each.is_running() for each in processes)


async def test_w21_a_rank_that_ends_while_loading_is_named() -> None:
    async with engine_of() as engine:
        os.kill(engine.processes[1].pid, signal.SIGKILL)
        with pytest.raises(EngineDied, match="rank 1: the engine process was killed by signal 9"):
            await engine.ranked.load()
        with pytest.raises(EngineLost, match="rank 1"):
            await engine.ranked.generate(REQUEST)
    assert len(engine.losses) == 1, "what the other rank says of it later is not told"


async def test_w21_a_rank_that_hangs_is_found_by_the_step_timeout() -> None:
    """First while the engine idles, and found by the second rank's own silence; the step that waits
    for it has the same limit."""
    async with engine_of(step_timeout=3.0) as engine:
        await engine.ranked.load()
        drawing = asyncio.create_task(engine.ranked.generate(REQUEST))
        engine.processes[1].suspend()
        loss = await engine.loss()
        assert isinstance(loss, EngineStuck)
        assert "rank" in str(loss)
        assert "no sign of life" in str(loss)
        (answer,) = await asyncio.gather(drawing, return_exceptions=True)
        assert isinstance(answer, EngineLost)
    assert len(engine.losses) == 1


async def test_w21_a_rank_that_ends_while_idle_ends_the_engine() -> None:
    """The first rank, this time."""
    async with engine_of() as engine:
        await engine.ranked.load()
        os.kill(engine.processes[0].pid, signal.SIGKILL)
        assert "rank 0: the engine process was killed by signal 9" in str(await engine.loss())
    assert len(engine.losses) == 1


async def test_w21_a_class_of_one_pass_is_refused_before_its_weights_are_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "Flux2Pipeline"}')
    (tmp_path / "empty.safetensors").touch()
    async with engine_of(replace(OPTIONS, model=str(tmp_path))) as engine:
        with pytest.raises(ModelNotLoadable, match=r"--cfg-parallel: Flux2Pipeline: its guidance"):
            await engine.ranked.load()
