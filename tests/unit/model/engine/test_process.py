"""The engine's process with the embedded model: what it draws, how it is cancelled, how it ends.

One engine serves the tests that leave it as it was; those that kill it start their own.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio

import model
from model.contract.compilation import CompileMode
from model.contract.generation import Generation, GenerationRequest, Sampling
from model.contract.sampling import ModelDescription, Task
from model.contract.watching import Preview, Watch
from model.embedded import PIPELINE_FOLDER
from model.engine.caches import FOLDERS
from model.engine.messages import EngineOptions
from model.engine.process import EngineProcess
from model.errors import (
    DeadlineExceeded,
    EngineDied,
    EngineLost,
    EngineStuck,
    GenerationFailed,
    ModelNotLoadable,
    OutOfMemory,
    StartupError,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIONS = EngineOptions("embedded://", threads=1)
PATIENCE = 60.0
LONG = 1000  # the most that the model's scheduler knows: half a minute and more
REQUEST = GenerationRequest(
    id="picture",
    task=Task.TEXT_TO_IMAGE,
    prompts=("a red fox on a blue background",),
    sampling=Sampling(width=128, height=128, num_inference_steps=4, guidance_scale=2.0),
    seeds=(7,),
    negative_prompts=("",),
    cfg=True,
)
ENDLESS = replace(
    REQUEST, id="endless", sampling=replace(REQUEST.sampling, num_inference_steps=LONG)
)


class Engine:
    """An engine, what it said of the model, and the reasons for which it was lost."""

    def __init__(self, options: EngineOptions, step_timeout: float) -> None:
        self.process = EngineProcess(options, step_timeout, self._note)
        self.description: ModelDescription | None = None
        self.losses: list[StartupError] = []
        self._lost = asyncio.Event()

    async def first_loss(self) -> StartupError:
        async with asyncio.timeout(PATIENCE):
            await self._lost.wait()
        return self.losses[0]

    def _note(self, reason: StartupError) -> None:
        self.losses.append(reason)
        self._lost.set()

    @property
    def running(self) -> psutil.Process:
        assert self.process.pid is not None
        return psutil.Process(self.process.pid)


@asynccontextmanager
async def engine_of(
    options: EngineOptions = OPTIONS, step_timeout: float = PATIENCE
) -> AsyncIterator[Engine]:
    """Spawned and not loaded; stopped at the end."""
    engine = Engine(options, step_timeout)
    engine.process.spawn()
    try:
        yield engine
    finally:
        await engine.process.stop()


@asynccontextmanager
async def loaded(step_timeout: float = PATIENCE) -> AsyncIterator[Engine]:
    async with engine_of(step_timeout=step_timeout) as engine:
        engine.description = await engine.process.load()
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    async with loaded() as shared:
        process = shared.running
        yield shared
        assert shared.losses == []
    assert not process.is_running(), "an idle engine ends when it is stopped"


class Steps:
    """Counts the steps of a request, and wakes who waits for one."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self._news = asyncio.Event()

    def __call__(self, step: int, of: int) -> None:
        self.seen.append((step, of))
        self._news.set()

    async def reached(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.seen) < number:
                self._news.clear()
                await self._news.wait()


async def drawing(
    engine: Engine, request: GenerationRequest = ENDLESS, until_step: int = 2
) -> tuple[asyncio.Task[Generation], Steps]:
    """Start a request, and return once it has done some steps."""
    steps = Steps()
    task = asyncio.create_task(engine.process.generate(request, watch=Watch(steps)))
    reached = asyncio.create_task(steps.reached(until_step))
    await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.exception()
    return task, steps


async def ended(process: psutil.Process) -> bool:
    """The process goes away, within the patience of these tests."""
    with suppress(psutil.NoSuchProcess):
        await asyncio.to_thread(process.wait, PATIENCE)
    return not process.is_running()


async def answer(task: asyncio.Task[Generation]) -> Any:
    """What the task ends with: a generation or an exception."""
    async with asyncio.timeout(PATIENCE):
        return (await asyncio.gather(task, return_exceptions=True))[0]


def raw_pixels(request: GenerationRequest) -> Any:
    """The same picture by diffusers alone, with no part of the engine but as many threads."""
    import torch
    from diffusers import DiffusionPipeline

    before = torch.get_num_threads()
    torch.set_num_threads(OPTIONS.threads)
    try:
        pipeline = DiffusionPipeline.from_pretrained(PIPELINE_FOLDER)
        pipeline.set_progress_bar_config(disable=True)
        drawn = pipeline(
            prompt=request.prompts[0],
            negative_prompt="",
            width=request.sampling.width,
            height=request.sampling.height,
            num_inference_steps=request.sampling.num_inference_steps,
            guidance_scale=request.sampling.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(request.seeds[0]),
        )
    finally:
        torch.set_num_threads(before)
    return np.asarray(drawn.images[0])[None]


# -- loading and drawing ---------------------------------------------------------------------


async def test_what_it_says_of_the_model_is_true(engine: Engine) -> None:
    found = engine.description
    assert found is not None
    assert found.pipeline == "StableDiffusionPipeline"
    assert found.family == "stable-diffusion-1"
    assert found.tasks == (Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.INPAINTING)
    assert (found.defaults.width, found.defaults.height) == (128, 128)
    assert found.defaults.sources["width"] == "model folder"
    assert found.defaults.sources["guidance_scale"] == "model folder"
    assert found.alignment == 16
    assert found.cancellable
    assert (found.device, found.dtype) == ("cpu", "float32")
    assert {"negative_prompt", "guidance_scale"} <= found.accepted[Task.TEXT_TO_IMAGE]
    assert "strength" in found.accepted[Task.IMAGE_TO_IMAGE]
    assert "strength" not in found.accepted[Task.TEXT_TO_IMAGE]
    assert found.load_seconds.keys() == {"read", "move"}


async def test_it_draws_what_diffusers_draws_bit_for_bit(engine: Engine) -> None:
    steps = Steps()
    generation = await engine.process.generate(REQUEST, watch=Watch(steps))
    raw = raw_pixels(REQUEST)
    assert np.array_equal(generation.pixels, raw)
    assert steps.seen == [(number, 4) for number in (1, 2, 3, 4)]
    assert len(generation.timings.steps) == 4
    assert min(generation.timings.prepare, generation.timings.decode) >= 0
    assert generation.timings.total >= sum(generation.timings.steps)
    assert (generation.seeds, generation.shape) == (REQUEST.seeds, REQUEST.shape)


async def test_who_looks_on_sees_it_come_and_changes_nothing(engine: Engine) -> None:
    clean = (await engine.process.generate(REQUEST)).pixels
    shown: list[Preview] = []
    looked_at = replace(REQUEST, previews=3)
    watched = await engine.process.generate(looked_at, watch=Watch(on_preview=shown.append))
    assert np.array_equal(watched.pixels, clean)
    assert [(each.index, each.step, each.of) for each in shown] == [(0, 1, 4), (1, 2, 4), (2, 3, 4)]
    assert {each.pixels.shape for each in shown} == {REQUEST.pixel_shape}
    far = [np.abs(each.pixels.astype(int) - clean).mean() for each in shown]
    assert 0 < far[-1] < far[0]
    await engine.process.generate(REQUEST, watch=Watch(on_preview=shown.append))
    assert len(shown) == 3, "nobody asked"


async def test_each_picture_of_a_batch_has_the_noise_of_its_own_seed(engine: Engine) -> None:
    """In any batch: to within rounding, since a matrix product of another size rounds otherwise."""
    both = replace(REQUEST, seeds=(7, 8), num_images_per_prompt=2)
    batch = (await engine.process.generate(both)).pixels
    alone = [
        (await engine.process.generate(replace(REQUEST, seeds=(seed,)))).pixels[0]
        for seed in (7, 8)
    ]
    assert not np.array_equal(alone[0], alone[1])
    for drawn, expected in zip(batch, alone, strict=True):
        assert np.abs(drawn.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("task", [Task.IMAGE_TO_IMAGE, Task.INPAINTING])
async def test_the_other_tasks_draw_from_a_picture(engine: Engine, task: Task) -> None:
    black = np.zeros((128, 128, 3), np.uint8)
    request = replace(
        REQUEST,
        task=task,
        images=(black,),
        masks=(np.full((128, 128), 255, np.uint8),) if task is Task.INPAINTING else (),
        sampling=replace(REQUEST.sampling, strength=0.75),
    )
    generation = await engine.process.generate(request)
    assert generation.pixels.shape == (1, 128, 128, 3)
    assert len(generation.timings.steps) == 3, "strength 0.75 of 4 steps"


# -- cancelling and failing, and going on --------------------------------------------------------


async def test_after_a_cancelled_picture_the_next_one_equals_a_clean_run(engine: Engine) -> None:
    clean = (await engine.process.generate(REQUEST)).pixels
    task, steps = await drawing(engine, until_step=2)
    task.cancel()
    assert isinstance(await answer(task), asyncio.CancelledError)
    assert len(steps.seen) < LONG, "it did not run to its end"
    after = (await engine.process.generate(REQUEST)).pixels
    assert np.array_equal(after, clean)


async def test_a_cancelled_request_returns_only_when_the_engine_is_free(engine: Engine) -> None:
    """The next one would otherwise be sent while the engine still draws."""
    task, _ = await drawing(engine)
    task.cancel()
    await answer(task)
    assert engine.process._running == {}
    free = await engine.process.generate(replace(REQUEST, deadline=time.monotonic() + PATIENCE))
    assert free.timings.total < PATIENCE


async def test_a_deadline_that_passes_while_it_draws_ends_it_at_the_next_step(
    engine: Engine,
) -> None:
    clean = (await engine.process.generate(REQUEST)).pixels
    steps = Steps()
    request = replace(ENDLESS, deadline=time.monotonic() + 0.3)
    with pytest.raises(DeadlineExceeded, match="while it was drawn"):
        await engine.process.generate(request, watch=Watch(steps))
    assert len(steps.seen) < LONG
    assert np.array_equal((await engine.process.generate(REQUEST)).pixels, clean)


async def test_a_deadline_that_has_passed_costs_no_step(engine: Engine) -> None:
    steps = Steps()
    request = replace(REQUEST, deadline=time.monotonic() - 1)
    with pytest.raises(DeadlineExceeded):
        await engine.process.generate(request, watch=Watch(steps))
    assert steps.seen == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (replace(REQUEST, sampling=replace(REQUEST.sampling, width=100)), "ValueError"),
        (replace(REQUEST, negative_prompts=("a", "b", "c")), "ValueError"),
        (replace(REQUEST, task=Task.IMAGE_TO_IMAGE, images=()), "ValueError"),
    ],
    ids=["misaligned", "wrong batch", "no picture"],
)
async def test_a_request_that_the_pipeline_refuses_leaves_the_engine_fine(
    engine: Engine, bad: GenerationRequest, reason: str
) -> None:
    clean = (await engine.process.generate(REQUEST)).pixels
    with pytest.raises(GenerationFailed, match=f"the pipeline failed on .*{reason}"):
        await engine.process.generate(bad)
    assert np.array_equal((await engine.process.generate(REQUEST)).pixels, clean)


async def test_w24_after_memory_ran_out_the_next_picture_is_right(engine: Engine) -> None:
    """The address space of the process is bounded: its allocator refuses, really."""
    clean = (await engine.process.generate(REQUEST)).pixels
    large = replace(
        REQUEST, sampling=replace(REQUEST.sampling, width=2048, height=2048), seeds=(7,)
    )
    memory = engine.running
    room = memory.memory_info().vms + 200 * 2**20
    memory.rlimit(psutil.RLIMIT_AS, (room, psutil.RLIM_INFINITY))
    try:
        for _ in range(2):
            with pytest.raises(OutOfMemory, match="no room for text-to-image 2048x2048"):
                await engine.process.generate(large)
            assert np.array_equal((await engine.process.generate(REQUEST)).pixels, clean)
    finally:
        memory.rlimit(psutil.RLIMIT_AS, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


# -- compiling -----------------------------------------------------------------------------------


async def test_w40_a_full_disk_in_the_cache_folder_costs_speed_and_no_request(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file may grow from here on: the compiler cannot write its code."""
    for variable in FOLDERS:  # importing diffusers sets one
        monkeypatch.delenv(variable, raising=False)
    expected = (await engine.process.generate(REQUEST)).pixels
    options = replace(OPTIONS, compile=CompileMode.REGIONAL, cache_dir=tmp_path)
    async with engine_of(options) as other:
        await other.process.load()
        other.running.rlimit(psutil.RLIMIT_FSIZE, (0, 0))
        generation = await other.process.generate(REQUEST)
        assert np.array_equal(generation.pixels, expected), "as without compiling"
        assert generation.notes == {"not_compiled": "no room for compiled code"}
        await other.process.settle(False)
        again = await other.process.generate(REQUEST)
        assert again.compiles == 0, "it is not tried again"
        assert again.notes == generation.notes
        assert other.losses == []


async def test_once_warm_the_garbage_collector_passes_over_what_the_engine_has() -> None:
    """Torch and the model are hundreds of thousands of objects: a walk stalls a request."""
    async with loaded() as engine:
        kept = await engine.process.settle(True)
        assert kept > 100_000
        await engine.process.generate(REQUEST)
        assert await engine.process.settle(False) == 0, "weights that leave are garbage"
        assert await engine.process.settle(True) == pytest.approx(kept, rel=0.1)


async def test_an_engine_that_ended_cannot_settle() -> None:
    async with loaded() as engine:
        os.kill(engine.running.pid, signal.SIGKILL)
        with pytest.raises(EngineLost):
            await engine.process.settle(True)


# -- the end -------------------------------------------------------------------------------------


async def test_a_killed_engine_is_lost_once_with_the_signal_and_its_request_told() -> None:
    async with loaded() as engine:
        task, _ = await drawing(engine)
        os.kill(engine.running.pid, signal.SIGKILL)
        error = await answer(task)
        assert isinstance(error, EngineLost)
        assert "signal 9" in str(error)
        loss = await engine.first_loss()
        assert isinstance(loss, EngineDied)
        assert "killed by signal 9" in str(loss)
        with pytest.raises(EngineLost, match="signal 9"):
            await engine.process.generate(REQUEST)
    assert len(engine.losses) == 1, "told once, and stopping afterwards tells nothing more"


async def test_an_engine_that_hangs_is_killed_and_one_whose_watcher_hung_is_not() -> None:
    """A frozen or starved API process hears nothing for a while; the engine is not to blame."""
    async with loaded(step_timeout=1.0) as engine:
        process = engine.running
        await engine.process.generate(REQUEST)
        time.sleep(2.0)  # noqa: ASYNC251 - the fault itself: the event loop stands still
        for _ in range(10):  # let the watch, overdue by now, have its turns
            await asyncio.sleep(0)
        assert (await engine.process.generate(REQUEST)).pixels.any()
        assert engine.losses == []
        process.suspend()
        loss = await engine.first_loss()
        assert isinstance(loss, EngineStuck)
        assert "while it was idle (limit 1 s)" in str(loss)
        assert await ended(process)
    assert len(engine.losses) == 1


async def test_a_stuck_engine_is_noticed_while_a_large_picture_waits_to_be_read() -> None:
    """The pipe is full then, and whoever writes to it waits: that must not be the event loop."""
    async with loaded(step_timeout=1.0) as engine:
        process = engine.running
        process.suspend()
        large = np.zeros((2048, 2048, 3), np.uint8)
        request = replace(REQUEST, task=Task.IMAGE_TO_IMAGE, images=(large,))
        error = await answer(asyncio.create_task(engine.process.generate(request)))
        assert isinstance(error, EngineLost)
        loss = await engine.first_loss()
        assert isinstance(loss, EngineStuck)
        assert "while it was drawing" in str(loss)
        assert await ended(process)


async def test_a_model_that_does_not_load_is_told_and_ends_the_process(tmp_path: Path) -> None:
    async with engine_of(EngineOptions(str(tmp_path))) as engine:
        process = engine.running
        with pytest.raises(ModelNotLoadable, match=r"no model_index\.json"):
            await engine.process.load()
        assert await ended(process)
    assert [type(each) for each in engine.losses] == [ModelNotLoadable]


async def test_an_engine_killed_while_loading_is_told_to_who_waits_for_it() -> None:
    async with engine_of() as engine:
        os.kill(engine.running.pid, signal.SIGKILL)
        with pytest.raises(EngineDied, match="signal 9"):
            await engine.process.load()
    assert len(engine.losses) == 1


async def test_an_engine_whose_loading_was_given_up_can_still_be_stopped() -> None:
    async with engine_of() as engine:
        process = engine.running
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.process.load(), 0.01)
        await engine.process.stop()
        assert not process.is_running()
    assert engine.losses == []


async def test_stop_ends_a_process_that_has_only_begun_and_that_is_no_loss() -> None:
    async with engine_of() as engine:
        process = engine.running
        await engine.process.stop()
        assert not process.is_running()
        with pytest.raises(EngineDied, match="the server is stopping"):
            await engine.process.load()
        await engine.process.stop()
    assert engine.losses == []


async def test_stop_ends_a_process_that_hangs_and_answers_its_request() -> None:
    async with loaded() as engine:
        process = engine.running
        task, _ = await drawing(engine)
        process.suspend()
        await engine.process.stop()
        assert not process.is_running()
        error = await answer(task)
        assert isinstance(error, EngineLost)
        assert "stopping" in str(error)
    assert engine.losses == []


async def test_stopping_what_never_started_is_nothing() -> None:
    await EngineProcess(OPTIONS, PATIENCE, lambda _: None).stop()


PARENT = """
import asyncio
from model.engine.messages import EngineOptions
from model.engine.process import EngineProcess

async def main():
    engine = EngineProcess(EngineOptions("embedded://"), 60, print)
    engine.spawn()
    print(engine.pid, flush=True)
    await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_the_engine_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """No orphan keeps the device, even while it imports torch."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(model.__file__).parents[1]
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert parent.stdout is not None
    engine = psutil.Process(int(await parent.stdout.readline()))
    assert engine.ppid() == parent.pid
    parent.kill()
    await parent.wait()
    assert await ended(engine)
