"""What does it cost to hand tensors from one role to the next?

Partner: a bare HTTP POST of the same bytes and back, by the standard library's client and a uvicorn
that does nothing else, in the same server process, in turns.
Goal: a hop of 10 MB takes at most 100 ms; beside seconds of denoising, that is nothing to save.

A hop is the whole way there and back over the loopback: 0.1, 1 and 10 MB are sent, and as many
come back. The stage computes nothing. The transport checks sizes, index and checksum at both ends,
and the POST checks nothing. "Beside the tensors" counts what crosses the wire on top of them, both
ways, by a relay in between, over a connection that is there already; those calls are not timed.
"""

import asyncio
import contextlib
import http.client
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

from model.contract.wire import Stage
from model.transport.addresses import Address
from model.transport.calling import Security
from model.transport.client import StageClient
from model.transport.payload import Payload, pack
from model.transport.safetensors_index import write_index

from ..effort import Effort, Tell
from ..errors import NotMeasurable
from ..hop_server import BOUNDS, HOST
from ..report import Findings, Goal, Row
from ..samples import Sample, counts, milliseconds, ratios
from ..subject import Subject

MEGABYTES: Final = (0.1, 1.0, 10.0)
LIMIT_MS: Final = 100.0
ORDER_SEED: Final = 0
UNMEASURED: Final = 3
STOP_SECONDS: Final = 10.0
STAGES: Final = "a stage over gRPC"
POST: Final = "HTTP POST"

Hop = Callable[[Payload], Awaitable[bytes]]


def measure(effort: Effort, subject: Subject, tell: Tell) -> Findings:
    with _server() as ports:
        return asyncio.run(_measure(ports, effort.rounds, tell))


async def _measure(ports: dict[str, int], rounds: int, tell: Tell) -> Findings:
    rows: list[Row] = []
    goals: list[Goal] = []
    for megabytes in MEGABYTES:
        tell(f"hop: {megabytes:g} MB, {rounds} rounds")
        payload = _payload(int(megabytes * 1e6))
        async with _ways(ports) as ways:
            seconds = await _in_turns(ways, payload, rounds)
        beside = {name: await _beside(name, ports, payload) for name in ways}
        for name, each in seconds.items():
            samples = {"a hop": milliseconds(each), "beside the tensors, bytes": beside[name]}
            if name != POST:
                samples["ratio to POST"] = ratios(each, seconds[POST])
            rows.append(Row(f"{megabytes:g} MB, {name}", samples))
        if megabytes == MEGABYTES[-1]:
            median = milliseconds(seconds[STAGES]).median
            goals.append(Goal(f"a hop of {megabytes:g} MB", median, LIMIT_MS, "ms"))
    return Findings(
        rows=tuple(rows),
        goals=tuple(goals),
        repetitions=f"{rounds} rounds in shuffled order, after {UNMEASURED} unmeasured",
    )


@contextlib.contextmanager
def _server() -> Iterator[dict[str, int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hop_server"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = process.stdout.readline()
        if not told:
            raise NotMeasurable("the server of the hops ended before it listened")
        yield json.loads(told)
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@contextlib.asynccontextmanager
async def _ways(ports: dict[str, int]) -> AsyncIterator[dict[str, Hop]]:
    client = StageClient(Address(HOST, ports["stages"], HOST), BOUNDS, Security())
    connection = http.client.HTTPConnection(HOST, ports["http"])

    async def stage(payload: Payload) -> bytes:
        return (await client.run(payload)).data

    def posted(payload: Payload) -> bytes:
        connection.request("POST", "/", body=payload.data)
        return connection.getresponse().read()

    async def post(payload: Payload) -> bytes:
        return await asyncio.to_thread(posted, payload)

    try:
        yield {STAGES: stage, POST: post}
    finally:
        connection.close()
        await client.close()


async def _in_turns(ways: dict[str, Hop], payload: Payload, rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    shuffled = random.Random(ORDER_SEED)  # noqa: S311 - an order, no secret
    for number in range(UNMEASURED + rounds):
        for name in shuffled.sample(list(ways), len(ways)):
            started = time.perf_counter()
            back = await ways[name](payload)
            taken = time.perf_counter() - started
            if back != payload.data:
                raise NotMeasurable(f"{name}: other bytes came back")
            if number >= UNMEASURED:
                seconds[name].append(taken)
    return seconds


def _payload(size: int) -> Payload:
    """Noise, as latents are."""
    data = write_index([("latents", "U8", (size,), size)])
    data += random.Random(size).randbytes(size)  # noqa: S311 - no secret
    return pack(Stage.DENOISE, "hop", data, {"height": 1024, "width": 1024, "steps": 28})


async def _beside(name: str, ports: dict[str, int], payload: Payload) -> Sample:
    """Bytes on the wire that are no tensor's, of a second call on one connection."""
    crossed = 0
    ends: list[asyncio.Future[Any]] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal crossed
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(2**20):
                crossed += len(part)
                writer.write(part)
                await writer.drain()
        writer.close()

    port = {STAGES: "stages", POST: "http"}[name]

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = await asyncio.open_connection(HOST, ports[port])
        ends.append(asyncio.gather(pass_on(reader, to_server[1]), pass_on(to_server[0], writer)))

    between = await asyncio.start_server(relay, HOST, 0)
    there = {**ports, port: between.sockets[0].getsockname()[1]}
    async with _ways(there) as ways:
        await ways[name](payload)
        before = crossed
        await ways[name](payload)
        counted = crossed - before
    between.close()
    await asyncio.gather(*ends)
    return counts([counted - 2 * len(payload.data)])
