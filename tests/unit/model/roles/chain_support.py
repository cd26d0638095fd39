"""Roles that compute something simple in place of a model, on real servers of the loopback, and a
real router before them.
"""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from prometheus_client import CollectorRegistry

from model.configuration.flags import add_flags
from model.configuration.resolve import resolve
from model.contract.generation import Timings
from model.contract.roles import Role
from model.contract.sampling import ModelDescription, SamplingDefaults, Task
from model.contract.stages import StageOutcome, write_cost
from model.contract.state import State
from model.errors import RequestError
from model.media.encode import EncodePool
from model.pipelines.request_facts import request_of
from model.roles.chain import CHAIN
from model.roles.router import Router
from model.roles.server_state import ServerState
from model.telemetry.metrics import Metrics
from model.transport.protocol import OnStep, StageRequest, StageResult
from model.transport.safetensors_index import write_index
from tests.unit.model.transport.support import StageHost, until

MODEL: Final = ModelDescription(
    pipeline="SomePipeline",
    family="some",
    tasks=(Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE),
    own_tasks=1,
    defaults=SamplingDefaults(width=64, height=64, num_inference_steps=4),
    alignment=16,
    accepted=dict.fromkeys(
        Task, frozenset({"width", "height", "num_inference_steps", "num_images_per_prompt"})
    ),
    cancellable=True,
    device="cpu",
    dtype="float32",
    revision="v1",
)
SEAMS: Final = {Role.ENCODER: "conditioning", Role.DENOISER: "latents", Role.DECODER: "pixels"}


@dataclass
class Player:
    """Plays a role: every stage adds the role's number to the bytes that it got, and the decoder
    makes pictures of them. ``errors`` and ``held`` by the beginning of a request's id.
    """

    role: Role
    errors: dict[str, RequestError] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[StageRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    steps: int = 0
    running: int = 0
    most: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None

    @property
    def ids(self) -> list[str]:
        return [each.payload.header.request_id for each in self.requests]

    def users(self) -> list[StageRequest]:
        return [each for each in self.requests if not each.payload.header.warmup]

    async def run(self, request: StageRequest, on_step: OnStep) -> StageResult:
        header = request.payload.header
        self.requests.append(request)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            for begin, error in self.errors.items():
                if header.request_id.startswith(begin):
                    raise error
            return await self._computed(request, on_step)
        except asyncio.CancelledError:
            self.cancelled.append(header.request_id)
            raise
        finally:
            self.running -= 1

    async def _computed(self, request: StageRequest, on_step: OnStep) -> StageResult:
        header = request.payload.header
        asked = request_of(header.request_id, header.facts["request"], {})  # type: ignore[arg-type]
        steps = asked.sampling.num_inference_steps if self.role is Role.DENOISER else 1
        for step in range(1, steps + 1):
            if any(header.request_id.startswith(each) for each in self.held):
                await self.released.wait()
            await asyncio.sleep(0)
            self.steps += 1
            on_step(step, steps)
        value = sum(asked.seeds) + len(header.tensors)
        shape = (1,)
        if self.role is Role.DECODER:
            shape = self.shape or asked.pixel_shape
        pixels = np.full(shape, value % 256, np.uint8)
        data = write_index([(SEAMS[self.role], "U8", shape, pixels.nbytes)]) + pixels.tobytes()
        timings = Timings(steps=(0.001,) * steps if self.role is Role.DENOISER else (), total=0.002)
        facts = {"made_by": str(self.role), "request": header.facts["request"], "made": {}}
        cost = write_cost(StageOutcome(header.request_id, facts, data, timings))
        return StageResult(data, {**facts, **cost, **self.facts})


@asynccontextmanager
async def a_host(role: Role, revision: str = "v1", port: int = 0) -> AsyncIterator[StageHost]:
    host = StageHost(role, runner=Player(role))
    about = replace(MODEL, revision=revision)
    host.identity = replace(host.identity, revision=revision, about=about)
    async with contextlib.AsyncExitStack() as stack:
        await host.open(port)
        stack.push_async_callback(host.close)
        yield host


@dataclass
class Running:
    """A router, and its start."""

    router: Router
    state: ServerState
    metrics: Metrics
    start: asyncio.Task[None]
    readied: list[str] = field(default_factory=list)

    def turn_ready(self) -> None:
        """As the server does."""
        self.readied.append(str(self.state.current))
        self.state.enter(State.READY)

    async def ready(self) -> Router:
        """Wait for the start, and follow from then on."""
        await self.start
        self.turn_ready()
        self.following = asyncio.create_task(self.router.follow(self.turn_ready))
        return self.router

    def replica(self, host: StageHost) -> dict[str, Any]:
        """What metadata tell of it."""
        for each in self.router.roles()[str(host.identity.role)]["replicas"]:
            if each["address"] == str(host.address):
                return dict(each)
        return {"state": "not known yet"}

    async def becomes(self, host: StageHost, state: str) -> dict[str, Any]:
        await until(lambda: self.replica(host)["state"] == state, f"{host.identity.role} {state}")
        return self.replica(host)


def flags_for(*hosts: StageHost) -> list[str]:
    """Where they are."""
    return [
        text
        for role in CHAIN
        for text in (
            f"--{role}s",
            ",".join(str(each.address) for each in hosts if each.identity.role is role)
            or "127.0.0.1:1",
        )
    ]


def resolved_for(*flags: str) -> Any:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return resolve(parser.parse_args(["--role", "router", *flags]), {})


@asynccontextmanager
async def a_router(*hosts: StageHost, flags: tuple[str, ...] = ()) -> AsyncIterator[Running]:
    """Its start has begun. ``flags`` besides where the hosts are."""
    quick = ("--replica-check-interval", "0.05", "--replica-wait", "5", *flags)
    resolved = resolved_for(*flags_for(*hosts), *quick)
    state, metrics = ServerState(), Metrics(CollectorRegistry())
    pool = EncodePool(1)
    router = Router(resolved, state, metrics, pool)
    state.enter(State.LOADING)
    router.spawn()
    running = Running(router, state, metrics, asyncio.create_task(router.load()))
    try:
        yield running
    finally:
        running.start.cancel()
        if hasattr(running, "following"):
            running.following.cancel()
        await router.close()
        pool.close()
