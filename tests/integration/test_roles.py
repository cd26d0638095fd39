"""W05: the roles encoder, denoiser and decoder, each with a real engine process of its own."""

import argparse
import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
import torch
from prometheus_client import CollectorRegistry

from model.configuration.flags import add_flags
from model.configuration.resolve import resolve
from model.contract.generation import GenerationRequest
from model.contract.roles import Role
from model.contract.wire import STAGE_OF
from model.engine.messages import EngineOptions
from model.engine.process import EngineProcess
from model.errors import DeadlineExceeded, InvalidRequest, QueueFull
from model.pipelines.handover import Handover
from model.pipelines.requests import Ask, build_request
from model.pipelines.stages import PIXELS, asked_of
from model.roles.server_state import ServerState
from model.roles.stage_worker import StageWorker
from model.settings import Settings
from model.telemetry.metrics import Metrics
from model.transport.payload import pack
from model.transport.protocol import OnStep, StageRequest

CHAIN: Final = (Role.ENCODER, Role.DENOISER, Role.DECODER)
STEPS: Final = 6


def worker_of(role: Role) -> StageWorker:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = ["--role", str(role), "--torch-threads", "1", "--queue-size", "1"]
    resolved = resolve(parser.parse_args(flags), {})
    return StageWorker(resolved, ServerState(), Metrics(CollectorRegistry()))


@asynccontextmanager
async def started(owner: Any) -> Any:
    owner.spawn()
    try:
        await owner.load()
        yield owner
    finally:
        await (owner.close() if isinstance(owner, StageWorker) else owner.stop())


def asked(role: Role, given: Handover, deadline: float | None = None) -> StageRequest:
    return StageRequest(pack(STAGE_OF[role], "a", given.written(), given.facts), deadline)


async def handed_over(
    worker: StageWorker, role: Role, given: Handover, on_step: OnStep = lambda *_: None
) -> Handover:
    result = await worker.run(asked(role, given), on_step)
    return Handover.read(result.data, result.facts)


async def chain_draws_and_stops() -> None:
    async with AsyncExitStack() as stack:
        owners = [
            *map(worker_of, CHAIN),
            EngineProcess(EngineOptions("embedded://", threads=1), 60.0, print),
        ]
        *workers, whole = await asyncio.gather(
            *(stack.enter_async_context(started(each)) for each in owners)
        )
        encoder, denoiser, decoder = workers
        ask = Ask(("a red fox",), parameters={"seed": 3, "num_inference_steps": STEPS})
        request: GenerationRequest = build_request(ask, encoder.description, Settings())

        made = await handed_over(encoder, Role.ENCODER, asked_of(request))
        told: list[tuple[int, int]] = []
        latents = await handed_over(denoiser, Role.DENOISER, made, lambda *each: told.append(each))
        pixels = (await handed_over(decoder, Role.DECODER, latents)).tensors[PIXELS].numpy()
        assert np.array_equal(pixels, (await whole.generate(request)).pixels)
        assert told == [(step, STEPS) for step in range(1, STEPS + 1)]
        stages = denoiser.metrics.stage_seconds.labels("denoise")._sum.get()
        assert stages > 0, "measured"

        await stopped_by_a_cancellation(denoiser, made, latents)
        with pytest.raises(InvalidRequest, match="made_by: decoder takes what denoiser made"):
            await decoder.run(asked(Role.DECODER, made), lambda *_: None)
        with pytest.raises(DeadlineExceeded):
            await denoiser.run(asked(Role.DENOISER, made, deadline=0.0), lambda *_: None)


async def stopped_by_a_cancellation(
    denoiser: StageWorker, made: Handover, expected: Handover
) -> None:
    """At the next step; who waits for a turn is refused where there are too many."""
    reached = asyncio.Event()
    steps: list[int] = []

    def on_step(step: int, _of: int) -> None:
        steps.append(step)
        reached.set()

    many = {**made.facts["request"]["sampling"], "num_inference_steps": 500}
    long = replace(
        made, facts={**made.facts, "request": {**made.facts["request"], "sampling": many}}
    )
    running = asyncio.create_task(denoiser.run(asked(Role.DENOISER, long), on_step))
    await reached.wait()
    waiting = asyncio.create_task(denoiser.run(asked(Role.DENOISER, made), lambda *_: None))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await denoiser.run(asked(Role.DENOISER, made), lambda *_: None)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(steps) < 500
    result = await waiting
    again = Handover.read(result.data, result.facts)
    assert torch.equal(again.tensors["vae.decode.0"], expected.tensors["vae.decode.0"])


def test_w05_three_roles_draw_what_one_engine_draws_and_stop_when_told_to() -> None:
    asyncio.run(chain_draws_and_stops())
