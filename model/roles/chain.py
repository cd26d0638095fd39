"""One request through three roles: encode, denoise, decode, each by whatever takes the stage.

Nothing here knows torch: what one role made goes to the next as it came, and only the decoder's
pixels are looked at.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from ..contract.compilation import Compilations
from ..contract.generation import Generation, GenerationRequest, Timings
from ..contract.roles import Role
from ..contract.stages import COST, StageCost, read_cost
from ..contract.watching import Watch
from ..contract.wire import LONGEST_NAME, STAGE_OF, WIRE_VERSION
from ..errors import BadTransfer, PayloadTooLarge
from ..pipelines.request_facts import facts_of, pictures_of
from ..telemetry.logs import get_logger
from ..transport.payload import Payload, pack, write_header
from ..transport.protocol import OnStep
from ..transport.safetensors_index import write_index

log = get_logger(__name__)

CHAIN: Final = (Role.ENCODER, Role.DENOISER, Role.DECODER)
PIXELS: Final = "pixels"


class Taker(Protocol):
    """A pool, or one replica."""

    async def run(
        self,
        payload: Payload,
        *,
        cost: float = 1.0,
        deadline: float | None = None,
        trace: Mapping[str, str] = ...,
        on_step: OnStep = ...,
    ) -> Payload: ...


@dataclass(frozen=True, slots=True)
class Hop:
    """``seconds``: from sending to having the result; ``computing``: of these, what the role says
    that it computed. ``sent`` and ``received`` in bytes of tensors.
    """

    role: Role
    seconds: float
    computing: float
    sent: int
    received: int


@dataclass(slots=True)
class Passage:
    """One request on its way. ``at``: the role that has it, or had it last. ``step``: of how many,
    as the denoiser tells it, and ``watch``, too.
    """

    request: GenerationRequest
    watch: Watch = field(default_factory=Watch)
    at: Role | None = None
    step: tuple[int, int] = (0, 0)
    hops: list[Hop] = field(default_factory=list)

    def told(self, step: int, of: int) -> None:
        self.step = (step, of)
        log.debug("step", request_id=self.request.id, step=step, of=of)
        self.watch.on_step(step, of)


async def draw(
    passage: Passage,
    revision: str,
    via: Callable[[Role], Taker],
    hopped: Callable[[Hop], None] = lambda hop: None,
) -> Generation:
    """``revision``: of the model, on every role. ``hopped`` hears of each stage that is done.

    Raises:
        RequestError: what a role raised, or its pool.
    """
    request, started = passage.request, time.monotonic()
    payload = first_payload(request, revision)
    costs: dict[Role, StageCost] = {}
    for role in CHAIN:
        passage.at = role
        sent = time.monotonic()
        payload = _for_role(payload, role)
        result = await via(role).run(
            payload,
            cost=work_of(request, role),
            deadline=request.deadline,
            trace=request.trace,
            on_step=passage.told if role is Role.DENOISER else _nobody,
        )
        costs[role] = cost = _cost(result, role)
        seconds = time.monotonic() - sent
        hop = Hop(role, seconds, cost.timings.total, payload.header.size, result.header.size)
        passage.hops.append(hop)
        hopped(hop)
        payload = result
    return _generation(request, pixels_of(payload, request), costs, time.monotonic() - started)


def _nobody(step: int, of: int) -> None:
    """What is not denoising has no steps."""


def first_payload(request: GenerationRequest, revision: str) -> Payload:
    """What the encoder takes: the request, and its pictures as tensors.

    Raises:
        PayloadTooLarge: the texts are longer than any role takes.
    """
    pictures = pictures_of(request)
    index = write_index((name, "U8", each.shape, each.nbytes) for name, each in pictures.items())
    data = b"".join((index, *(each.tobytes() for each in pictures.values())))
    payload = pack(
        STAGE_OF[CHAIN[0]],
        request.id[:LONGEST_NAME],
        data,
        {"made_by": None, "request": facts_of(request)},
        revision=revision,
        warmup=request.warmup,
    )
    try:
        write_header(payload.header)
    except BadTransfer as error:
        raise PayloadTooLarge(f"prompt: all texts together are too long: {error}") from None
    return payload


def work_of(request: GenerationRequest, role: Role) -> float:
    """What the stage costs, in a unit that only stages of one role share."""
    sampling = request.sampling
    if role is Role.ENCODER:
        return float(len(request.prompts) + request.pictures)
    pixels = math.prod(request.pixel_shape)
    return float(pixels * (sampling.num_inference_steps if role is Role.DENOISER else 1))


def pixels_of(payload: Payload, request: GenerationRequest) -> Any:
    """The decoder's pictures: uint8, in memory of their own.

    Raises:
        BadTransfer: these are not the pictures that were asked for.
    """
    begin = len(payload.data) - sum(each.size for each in payload.header.tensors)
    for each in payload.header.tensors:
        if each.name == PIXELS and (each.dtype, each.shape) == ("U8", request.pixel_shape):
            found = np.frombuffer(payload.data, np.uint8, each.size, begin + each.offset)
            return found.reshape(each.shape)
    told = ", ".join(f"{e.name[:100]} {e.dtype} {list(e.shape)}" for e in payload.header.tensors)
    raise BadTransfer(
        f"tensors: the decoder sent {told or 'nothing'}, and {PIXELS} U8 "
        f"{list(request.pixel_shape)} were asked for"
    )


def _for_role(payload: Payload, role: Role) -> Payload:
    """The same bytes, which were checked when they came, for the next stage."""
    facts = {name: each for name, each in payload.header.facts.items() if name not in COST}
    changed = {"stage": STAGE_OF[role], "facts": facts, "version": WIRE_VERSION}
    return Payload(payload.header.model_copy(update=changed), payload.data)


def _cost(result: Payload, role: Role) -> StageCost:
    try:
        return read_cost(result.header.facts)
    except ValueError as error:
        raise BadTransfer(f"facts: the {role} tells its cost otherwise: {error}") from None


def _generation(
    request: GenerationRequest, pixels: Any, costs: Mapping[Role, StageCost], seconds: float
) -> Generation:
    encoded, denoised, decoded = (costs[role] for role in CHAIN)
    notes: dict[str, str] = {}
    compilations = Compilations()
    for each in costs.values():
        notes |= each.notes
        compilations += each.compilations
    return Generation(
        id=request.id,
        pixels=pixels,
        seeds=request.seeds,
        shape=request.shape,
        steps=request.sampling.num_inference_steps,
        timings=Timings(
            prepare=encoded.timings.total + denoised.timings.prepare,
            steps=denoised.timings.steps,
            decode=denoised.timings.decode + decoded.timings.total,
            total=seconds,
        ),
        peak_memory_bytes=max(each.peak_memory_bytes for each in costs.values()),
        compilations=compilations,
        notes=notes,
    )
