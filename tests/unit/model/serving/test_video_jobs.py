"""What becomes of a job by how its drawing ends, with a role that ends it as the test says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from model.contract.generation import Generation, GenerationRequest, Sampling, Timings
from model.contract.sampling import Task
from model.contract.state import State
from model.errors import EngineLost, GenerationFailed, NoReplica, QueueFull
from model.jobs.job import Job, Status, new_job
from model.serving.context import Serving
from model.serving.video_jobs import VideoJobs
from model.settings import Settings

SOON = 20.0
WANTED = GenerationRequest(
    id="a",
    task=Task.TEXT_TO_VIDEO,
    prompts=("a fox",),
    sampling=Sampling(width=32, height=32, num_inference_steps=2, num_frames=2, fps=8.0),
    seeds=(7,),
)
ASKED: dict[str, Any] = {
    "owner": "ann", "payer": "ann", "request": {}, "told": {}, "fingerprint": "one"
}  # fmt: skip


class Role:
    """Raises each of ``ends`` in turn, and then draws."""

    def __init__(self) -> None:
        self.description = None
        self.ends: list[Exception] = []

    async def generate(self, request: GenerationRequest, watch: Any = None) -> Generation:
        watch.on_step(1, 2)
        if self.ends:
            raise self.ends.pop(0)
        pixels = np.zeros(request.pixel_shape, np.uint8)
        return Generation("a", pixels, request.seeds, request.shape, 2, Timings())


@pytest_asyncio.fixture
async def jobs(serving: Serving, tmp_path: Path) -> AsyncIterator[VideoJobs]:
    """Of a server that is Ready."""
    serving.settings = Settings(jobs_dir=tmp_path)
    serving.role = Role()  # type: ignore[assignment]

    async def prepare(job: Job, reference: bytes | None) -> GenerationRequest:
        return replace(WANTED, id=job.id)

    made = VideoJobs(serving, prepare)
    for state in (State.LOADING, State.READY):
        serving.state.enter(state)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await made.close()


async def ended(jobs: VideoJobs) -> Job:
    job = await jobs.add(new_job(**ASKED), None)
    async with asyncio.timeout(SOON):
        while (found := await jobs.get(job.id, "ann")).unfinished:  # noqa: ASYNC110 - a database
            await asyncio.sleep(0.01)
    return found


@pytest.mark.parametrize(
    "error", [QueueFull(3, 0.01), NoReplica("none is there", 0.01)], ids=lambda each: str(each)
)
async def test_what_may_go_better_later_is_tried_again(
    jobs: VideoJobs, serving: Serving, error: Exception
) -> None:
    serving.role.ends = [error, error]  # type: ignore[attr-defined]
    job = await ended(jobs)
    assert (job.status, job.restarts) == (Status.COMPLETED, 0)


@pytest.mark.parametrize(
    ("error", "code", "problem"),
    [
        (GenerationFailed("the pipeline raised"), "generation_failed", "the pipeline raised"),
        (EngineLost("a role's"), "engine_lost", "a role's"),
        (OSError(28, "No space left"), "no_room", "it could not be kept: No space left"),
        (ZeroDivisionError("a secret"), "internal_error", "internal error; the server's log"),
    ],
    ids=["failed", "lost, of a server that goes on", "disk", "unexpected"],
)
async def test_what_fails_says_why(
    jobs: VideoJobs, serving: Serving, error: Exception, code: str, problem: str
) -> None:
    serving.role.ends = [error]  # type: ignore[attr-defined]
    job = await ended(jobs)
    assert (job.status, job.code) == (Status.FAILED, code)
    assert str(job.problem).startswith(problem)


async def test_a_loss_that_ends_the_server_is_the_next_ones_to_judge(
    jobs: VideoJobs, serving: Serving
) -> None:
    async def lose(request: GenerationRequest, watch: Any = None) -> Generation:
        serving.state.enter(State.FAILED)
        raise EngineLost("killed")

    serving.role.generate = lose  # type: ignore[method-assign]
    job = await jobs.add(new_job(**ASKED), None)
    async with asyncio.timeout(SOON):
        while serving.state.live:  # noqa: ASYNC110 - a fake role sets it
            await asyncio.sleep(0.01)
        await jobs.drain()
    assert (await jobs.get(job.id, "ann")).status is Status.IN_PROGRESS
