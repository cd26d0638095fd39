"""The receiving half: what it refuses, and before which cost; what crosses, and what stops."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc.aio import EOF

from model.contract.roles import Role
from model.contract.state import State
from model.contract.wire import READABLE_VERSIONS, Stage
from model.errors import (
    BadTransfer,
    DeadlineExceeded,
    NotReady,
    PayloadTooLarge,
    QueueFull,
    ReplicaReplaced,
    RevisionMismatch,
    TokenRefused,
    WireVersionMismatch,
)
from model.transport import calling
from model.transport.calling import CHUNK_BYTES, Security
from model.transport.client import StageClient
from model.transport.payload import Bounds, Payload, pack, write_header
from model.transport.stages_pb2 import Answered, Progress, Sent
from model.transport.statuses import revived
from tests.unit.model.transport.support import (
    BOUNDS,
    INVERSE,
    StageHost,
    a_client,
    a_file,
    a_payload,
    content,
    until,
)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def raw(host: StageHost, *messages: Sent, metadata: Any = ()) -> BaseException:
    """Send these messages, whatever they are; what comes of it."""
    async with grpc.aio.insecure_channel(host.address.target) as channel:
        call = channel.stream_stream(calling.RUN, Sent.SerializeToString, Answered.FromString)(
            iter(messages), metadata=metadata, timeout=20
        )
        try:
            while await call.read() is not EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return revived(error, "host")
    raise AssertionError("it was accepted")


def lying(payload: Payload, **changed: Any) -> Sent:
    return Sent(header=json.dumps({**json.loads(write_header(payload.header)), **changed}).encode())


async def test_a_stage_and_its_result(host: StageHost, client: StageClient) -> None:
    steps: list[tuple[int, int]] = []
    sent = a_payload(b"fox", request_id="größe/☃", steps=3)
    found = await client.run(sent, on_step=lambda step, of: steps.append((step, of)))
    assert content(found) == b"fox".translate(INVERSE)
    assert found.header.stage is Stage.DENOISE
    assert found.header.revision == "v1"
    assert steps[-1] == (3, 3), "the last step is told, whatever was skipped"
    assert host.runner.requests[0].payload == sent


async def test_more_than_one_chunk_and_none_at_all(client: StageClient) -> None:
    for size in (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 7):
        data = bytes(size)
        assert content(await client.run(a_payload(data))) == data.translate(INVERSE)


async def test_nan_is_for_the_stages_to_judge(client: StageClient) -> None:
    nan = b"\x00\x00\xc0\x7f"
    assert content(await client.run(a_payload(nan, steps=2))) == nan


async def test_what_crosses_beside_the_payload(host: StageHost, client: StageClient) -> None:
    loop = asyncio.get_running_loop()
    trace = {"traceparent": TRACEPARENT, "tracestate": "a=1", "baggage": "no"}
    found = await client.run(a_payload(), deadline=loop.time() + 50, trace=trace)
    assert found.header.facts["trace"] == {"traceparent": TRACEPARENT, "tracestate": "a=1"}
    left = found.header.facts["left"]
    assert isinstance(left, float)
    assert 40 < left < 55, "seconds, for clocks differ; gRPC rounds them up"


async def test_without_a_deadline_the_longest_counts(client: StageClient) -> None:
    left = (await client.run(a_payload())).header.facts["left"]
    assert isinstance(left, float)
    assert 500 < left <= 600


async def test_who_answers(host: StageHost, client: StageClient) -> None:
    found = await client.describe(5)
    assert found.identity == host.identity
    assert found.wire_versions == READABLE_VERSIONS
    assert found.state is State.READY
    assert await client.serving(5)
    await host.become(State.DRAINING)
    assert (await client.describe(5)).state is State.DRAINING
    assert not await client.serving(5)


HOSTILE: dict[str, tuple[Callable[[], list[Sent]], type[Exception], str]] = {
    "nothing": (list, BadTransfer, "does not begin with one"),
    "a chunk first": (lambda: [Sent(chunk=b"x")], BadTransfer, "does not begin with one"),
    "an empty message": (lambda: [Sent()], BadTransfer, "does not begin with one"),
    "noise": (lambda: [Sent(header=b"\x80\x04noise")], BadTransfer, "header"),
    "two headers": (
        lambda: [lying(a_payload()), lying(a_payload())], BadTransfer, "chunk: none came",
    ),
    "no chunk": (lambda: [lying(a_payload()), Sent()], BadTransfer, "chunk: none came"),
    "version": (lambda: [lying(a_payload(), version=2)], WireVersionMismatch, "version 2.*reads 1"),
    "1 GB": (lambda: [lying(a_payload(), size=2**30)], PayloadTooLarge, "1073741824 bytes are"),
    "truncated": (
        lambda: [lying(a_payload()), Sent(chunk=a_payload().data[:-1])], BadTransfer, "ended after",
    ),
    "too long": (
        lambda: [lying(a_payload()), Sent(chunk=a_payload().data + b"x")], BadTransfer, "more came",
    ),
    "checksum": (
        lambda: [lying(a_payload(), checksum=5), Sent(chunk=a_payload().data)],
        BadTransfer, "00000005 of what was sent",
    ),
    "dtype": (
        lambda: [lying(a_payload(), tensors=[
            {"name": "x", "dtype": "object", "shape": [3], "offset": 0, "size": 3}])],
        BadTransfer, "'object' is none of",
    ),
    "another stage": (
        lambda: [lying(a_payload(), stage="decode")], BadTransfer, "a denoiser, and was sent dec",
    ),
    "another revision": (
        lambda: [lying(a_payload(), revision="v0")], RevisionMismatch, "'v0' .* has 'v1'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_refused(host: StageHost, name: str) -> None:
    messages, kind, told = HOSTILE[name]
    error = await raw(host, *messages())
    assert type(error) is kind
    assert re.search(told, str(error)), str(error)
    assert not host.runner.requests, "the stage never saw it"
    await until(lambda: host.service.here == 0, "the end of the call")


async def test_a_stage_of_our_revision_is_taken(client: StageClient) -> None:
    await client.run(pack(Stage.DENOISE, "r", a_file(b"x"), {}, revision="v1"))


async def test_a_payload_too_large_is_refused_while_it_is_sent(client: StageClient) -> None:
    """The sender stops: it does not push 30 MB at somebody who said no."""
    with pytest.raises(PayloadTooLarge, match="--stage-max-bytes"):
        await client.run(a_payload(bytes(30 * CHUNK_BYTES)))


async def test_a_result_too_large_for_the_caller_ends_the_call(host: StageHost) -> None:
    """While the error, and with it the call, is still at hand: the replica must not wait."""
    client = a_client(host, bounds=Bounds(bytes=100, tensors=8))
    with pytest.raises(PayloadTooLarge, match="announced") as held:
        await client.run(a_payload(bytes(12 * CHUNK_BYTES)))
    await until(lambda: host.service.here == 0, "the end of the call")
    assert held.value.http_status == 413
    await client.close()


@pytest.mark.parametrize("shown", ["", "Bearer fix", "fox", "Bearer foxes", "Basic Zm94"])
async def test_a_wrong_token(shown: str) -> None:
    async with StageHost(security=Security((b"fox", b"old"))) as host:
        metadata = [(calling.AUTHORIZATION, shown)] if shown else []
        error = await raw(host, lying(a_payload()), metadata=metadata)
        assert type(error) is TokenRefused
        assert "--role-token-file" in str(error)
        assert "fox" not in str(error)


async def test_either_token_is_good_while_one_replaces_the_other() -> None:
    async with StageHost(security=Security((b"new", b"old"))) as host:
        for tokens in ((b"new",), (b"old", b"new")):
            client = a_client(host, Security(tokens))
            await client.run(a_payload())
            assert (await client.describe(5)).identity == host.identity
            await client.close()
        stranger = a_client(host)
        assert await stranger.serving(5), "the kubelet has no token"
        with pytest.raises(TokenRefused, match="no token came"):
            await stranger.describe(5)
        await stranger.close()


async def test_w44_another_process_at_the_address_does_not_take_the_stage(
    host: StageHost, client: StageClient
) -> None:
    await client.run(a_payload(), instance=host.identity.instance)
    with pytest.raises(ReplicaReplaced):
        await client.run(a_payload(), instance="somebody-else")
    assert len(host.runner.requests) == 1


async def test_w32_not_ready_says_so_at_once(host: StageHost, client: StageClient) -> None:
    for state in (State.STARTING, State.LOADING, State.FAILED):
        host.state = state
        with pytest.raises(NotReady, match=f"the denoiser is {state}") as refused:
            await client.run(a_payload())
        assert refused.value.details == {"state": state}
        assert refused.value.retry_after
    host.state = State.DRAINING
    await client.run(a_payload())


async def test_one_stage_too_many_is_told_when_to_come_back() -> None:
    async with StageHost(most=2) as host:
        client = a_client(host)
        held = [
            asyncio.create_task(client.run(a_payload(request_id=str(n), hold_at=1)))
            for n in range(2)
        ]
        await until(lambda: host.runner.running == 2, "the two")
        with pytest.raises(QueueFull) as refused:
            await client.run(a_payload())
        assert refused.value.retry_after
        host.runner.released.set()
        await asyncio.gather(*held)
        await client.run(a_payload())
        await client.close()


async def test_a_caller_that_goes_away_stops_the_stage(
    host: StageHost, client: StageClient
) -> None:
    steps = asyncio.Event()
    call = asyncio.create_task(
        client.run(a_payload(steps=5, hold_at=2), on_step=lambda *_: steps.set())
    )
    await asyncio.wait_for(steps.wait(), 20)
    assert host.runner.running == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: host.runner.running == 0, "the end of the stage")
    await until(lambda: host.service.here == 0, "the end of the call")
    assert not host.runner.released.is_set()


async def test_a_deadline_stops_the_stage(host: StageHost, client: StageClient) -> None:
    now = asyncio.get_running_loop().time()
    with pytest.raises(DeadlineExceeded):
        await client.run(a_payload(hold_at=1), deadline=now + 0.3)
    await until(lambda: host.runner.running == 0, "the end of the stage")
    with pytest.raises(DeadlineExceeded, match=r"before .* was asked"):
        await client.run(a_payload(), deadline=now)
    assert len(host.runner.requests) == 1


async def test_who_names_no_deadline_gets_the_longest() -> None:
    async with StageHost(longest=0.3) as host:
        client = a_client(host)
        with pytest.raises(DeadlineExceeded, match="the denoiser was too slow"):
            await client.run(a_payload(hold_at=1))
        await until(lambda: host.runner.running == 0, "the end of the stage")
        await client.close()


async def test_a_reader_that_stops_reading_holds_up_nobody_else(
    host: StageHost, client: StageClient
) -> None:
    """Neither its own stage, nor another caller; and its deadline clears it away."""
    async with grpc.aio.insecure_channel(host.address.target) as channel:
        call = channel.stream_stream(calling.RUN, Sent.SerializeToString, Answered.FromString)(
            timeout=2
        )
        payload = a_payload(bytes(12 * CHUNK_BYTES), steps=2)
        await call.write(Sent(header=write_header(payload.header)))
        for chunk in calling.chunks(payload.data):
            await call.write(Sent(chunk=chunk))
        await until(lambda: host.runner.requests and not host.runner.running, "the stage's end")
        assert host.service.here == 1, "its result waits for the reader"
        assert content(await client.run(a_payload())) == b"fox".translate(INVERSE)
        await until(lambda: host.service.here == 0, "the reader's end")


async def test_w35_no_proxy_of_the_environment_is_used(
    host: StageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    client = a_client(host)
    await client.run(a_payload())
    assert (await client.describe(5)).identity == host.identity
    await client.close()


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([], "ended without a result"),
        ([Answered(chunk=b"x")], "no meaning"),
        ([Answered()], "no meaning"),
        ([Answered(accepted=True)], "no meaning"),
        ([Answered(header=write_header(a_payload().header))] * 2, "no meaning"),
        ([Answered(progress=Progress(step=1, of=2))], "ended without a result"),
        ([Answered(header=write_header(a_payload().header))], "the stream ended after 0"),
        ([Answered(header=write_header(a_payload(request_id="q").header))], "another request's"),
    ],
)
async def test_a_replica_that_answers_nonsense(answers: list[Answered], told: str) -> None:
    async def nonsense(_: Any, context: Any) -> None:
        await context.read()
        for each in answers:
            await context.write(each)

    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(
        nonsense, Sent.FromString, Answered.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(calling.SERVICE, {"Run": handler}),)
    )
    host = StageHost(Role.DENOISER)
    host.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = a_client(host)
    with pytest.raises(BadTransfer, match=told):
        await client.run(a_payload())
    await client.close()
    await server.stop(0)


def test_the_bounds_of_these_tests_are_below_what_they_announce() -> None:
    assert BOUNDS.bytes < 2**30
