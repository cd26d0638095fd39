"""Requests to queue, and an engine whose end the test decides."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from model.contract.generation import Generation, GenerationRequest, Sampling, Timings
from model.contract.sampling import Task
from model.scheduling.queue import RequestQueue

SHAPE = {"width": 64, "height": 64}


def make_request(identity: str, steps: int = 4, **known: Any) -> GenerationRequest:
    size = {name: known.pop(name, side) for name, side in SHAPE.items()}
    return GenerationRequest(
        id=identity,
        task=Task.TEXT_TO_IMAGE,
        prompts=("a fox",),
        sampling=Sampling(**size, num_inference_steps=steps),
        seeds=(1,),
        **known,
    )


def make_generation(request: GenerationRequest, seconds: float) -> Generation:
    return Generation(
        id=request.id,
        pixels=None,
        seeds=request.seeds,
        shape=request.shape,
        steps=request.sampling.num_inference_steps,
        timings=Timings(total=seconds),
    )


class HeldEngine:
    """Executes one request after the other; each ends when the test says so."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.running: dict[str, asyncio.Future[Generation]] = {}
        self.requests: dict[str, GenerationRequest] = {}
        self._arrived = asyncio.Event()

    async def execute(self, request: GenerationRequest) -> Generation:
        self.started.append(request.id)
        self.requests[request.id] = request
        end = self.running[request.id] = asyncio.get_running_loop().create_future()
        self._arrived.set()
        try:
            return await end
        except asyncio.CancelledError:
            self.cancelled.append(request.id)
            raise
        finally:
            del self.running[request.id]

    async def runs(self, identity: str) -> None:
        """Wait until the request has started."""
        async with asyncio.timeout(5):
            while identity not in self.running:
                self._arrived.clear()
                await self._arrived.wait()

    def finish(self, identity: str, seconds: float = 2.0) -> None:
        request = self.requests[identity]
        self.running[identity].set_result(make_generation(request, seconds))

    def fail(self, identity: str, error: Exception) -> None:
        self.running[identity].set_exception(error)


@pytest.fixture
async def engine() -> HeldEngine:
    return HeldEngine()


@pytest.fixture
async def open_queue(engine: HeldEngine) -> AsyncIterator[Callable[..., RequestQueue]]:
    """Makes a queue before ``engine``, and runs it until the end of the test."""
    runners: list[asyncio.Task[None]] = []

    def make(size: int = 8, **known: Any) -> RequestQueue:
        queue = RequestQueue(engine.execute, size, **known)
        runners.append(asyncio.create_task(queue.run()))
        return queue

    yield make
    for runner in runners:
        assert not runner.done(), "the queue ended by itself"
        runner.cancel()
    await asyncio.gather(*runners, return_exceptions=True)


@pytest.fixture
def request_of() -> Callable[..., GenerationRequest]:
    return make_request


@pytest.fixture
def generation_of() -> Callable[[GenerationRequest, float], Generation]:
    return make_generation
