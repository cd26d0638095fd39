"""W05: servers of roles as they run in pods, and their stages over their real gRPC ports."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from diffusers.utils.remote_utils import remote_decode
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as services

from model.contract.roles import Role
from model.contract.state import State
from model.errors import (
    DeadlineExceeded,
    EngineLost,
    NotReady,
    PayloadTooLarge,
    ReplicaLost,
    RevisionMismatch,
    TokenRefused,
)
from model.pipelines.stages import LATENTS as SCALED
from model.transport.addresses import Address
from model.transport.calling import Security
from model.transport.payload import Payload, pack
from model.transport.replica import Replica
from model.transport.safetensors_index import write_index
from tests.integration.faults.drills import ENDLESS, assert_failed, engine_of, metric
from tests.integration.support.certificates import self_signed
from tests.integration.support.chain import (
    BOUNDS,
    CHAIN,
    Servers,
    asked,
    client_of,
    first_stage,
    handed,
    pixels_of,
    running_chain,
    written_token,
)
from tests.integration.support.requests import INFER, body
from tests.integration.support.server import MODEL, ServerProcess

ENGINE_DIED = 6
MOST_BYTES = 1024 * 1024
PROMPT = "a red fox"
SECONDS = 60.0


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_token(tmp_path_factory.mktemp("token"))


@pytest.fixture(scope="module")
def security(token: Path) -> Security:
    return Security.read(token, None)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, token: Path) -> Iterator[Servers]:
    """One server of each role, which show each other a token. Left as they were."""
    flags = ("--role-token-file", str(token), "--stage-max-bytes", str(MOST_BYTES))
    # An explicit warmup mode is overruled, whatever it is.
    with running_chain(
        tmp_path_factory.mktemp("chain"), *flags, "--warmup-mode", "server"
    ) as found:
        yield found


def test_w05_a_role_is_ready_when_loaded_and_says_why_it_is_not_warm(chain: Servers) -> None:
    for role, server in chain.items():
        about = server.metadata()
        assert (about["role"], about["state"]) == (role, "ready")
        assert (about["warmup"]["mode"], about["warmup"]["reason"]) == ("off", "disaggregated-role")
        assert about["pipeline"]["class"] == "StableDiffusionPipeline"
        assert "kiln_state" in server.client.get("/metrics").text


def test_w05_a_role_sends_whole_requests_to_the_router(chain: Servers) -> None:
    told = "encoder of a chain; send requests to its router"
    encoder = chain[Role.ENCODER]
    answer = encoder.client.post(INFER, json=body(PROMPT))
    assert answer.status_code == 501
    assert told in answer.json()["error"]
    # Beside stages, the gRPC port has what it has in every server.
    request = messages.ModelInferRequest(model_name=MODEL)
    request.inputs.add(name="prompt", shape=[1], datatype="BYTES").contents.bytes_contents.append(
        PROMPT.encode()
    )
    with grpc.insecure_channel(encoder.grpc_address) as channel:
        stub = services.GRPCInferenceServiceStub(channel)
        assert stub.ModelReady(messages.ModelReadyRequest(name=MODEL), timeout=SECONDS).ready
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(request, timeout=SECONDS)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]
    assert told in refused.value.details()  # type: ignore[attr-defined]


async def through(chain: Servers, security: Security, first: Payload, **options: Any) -> Payload:
    """All stages of a request, as a router would send them."""
    payload = first
    for role in CHAIN:
        if role is not Role.ENCODER:
            header = first.header
            payload = asked(
                role, handed(payload), request_id=header.request_id, warmup=header.warmup
            )
        async with client_of(chain[role], security) as client:
            payload = await client.run(payload, **options)
    return payload


async def test_w05_stages_of_three_servers_draw_what_one_server_draws(
    chain: Servers, security: Security, server: ServerProcess
) -> None:
    counts = [counted(each, "ok") for each in chain.values()]
    told: list[tuple[int, int]] = []
    drawn = await through(
        chain, security, first_stage(request_id="fox-1"), on_step=lambda *each: told.append(each)
    )
    knobs = {"num_inference_steps": 4, "output_format": "raw"}
    (whole,) = server.client.post(INFER, json=body(PROMPT, **knobs)).json()["outputs"]
    assert list(pixels_of(drawn).shape) == whole["shape"]
    assert np.array_equal(pixels_of(drawn).ravel(), np.array(whole["data"], np.uint8))
    assert told[-1] == (4, 4)
    for role, each in chain.items():
        (line,) = [e for e in each.events("request") if e.get("request_id") == "fox-1"]
        assert (line["protocol"], line["outcome"]) == ("stages", "ok"), role
    assert [counted(each, "ok") for each in chain.values()] == [each + 1 for each in counts]

    await through(chain, security, first_stage(request_id="fox-2", warmup=True))
    assert [counted(each, "ok") for each in chain.values()] == [each + 1 for each in counts], (
        "W28: a warmup is nobody's request"
    )


def counted(server: ServerProcess, outcome: str) -> float:
    return metric(server, "kiln_requests_total", protocol="stages", outcome=outcome)


async def test_w44_a_replica_says_who_it_is(chain: Servers, security: Security) -> None:
    seen = {}
    for role, server in chain.items():
        async with client_of(server, security) as client:
            seen[role] = (await client.describe(SECONDS)).identity
            assert await client.serving(SECONDS)
        about = server.metadata()
        assert (seen[role].role, seen[role].model) == (role, MODEL)
        assert seen[role].revision == about["versions"][0]
        assert seen[role].about is not None
    assert len({each.instance for each in seen.values()}) == len(seen)


async def test_a_stage_of_another_revision_is_refused_and_both_are_named(
    chain: Servers, security: Security
) -> None:
    async with client_of(chain[Role.ENCODER], security) as client:
        ours = (await client.describe(SECONDS)).identity.revision
        with pytest.raises(RevisionMismatch, match=f"other.*{ours}"):
            await client.run(first_stage(revision="other"))
        assert (await client.run(first_stage(revision=ours))).header.revision == ours


async def test_a_stage_without_the_token_is_refused(chain: Servers, security: Security) -> None:
    for shown in (Security(), Security((b"another",))):
        async with client_of(chain[Role.ENCODER], shown) as client:
            with pytest.raises(TokenRefused, match="--role-token-file"):
                await client.run(first_stage())
            with pytest.raises(TokenRefused):
                await client.describe(SECONDS)


async def test_a_stage_that_is_too_large_is_refused_by_what_it_announces(
    chain: Servers, security: Security
) -> None:
    size = 4 * MOST_BYTES
    data = write_index([("x", "U8", (size,), size)]) + bytes(size)
    async with client_of(chain[Role.DECODER], security) as client:
        with pytest.raises(PayloadTooLarge, match="takes 1048576; see --stage-max-bytes"):
            await client.run(pack("decode", "r", data, {}))  # type: ignore[arg-type]


async def encoded(chain: Servers, security: Security, steps: int) -> Payload:
    """What a denoiser gets."""
    async with client_of(chain[Role.ENCODER], security) as client:
        made = handed(await client.run(first_stage(steps)))
    return asked(Role.DENOISER, made)


class Steps:
    """Tells that a stage does its steps."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.last = 0

    def __call__(self, step: int, of: int) -> None:
        self.last = step
        self.begun.set()

    async def wait(self) -> None:
        await asyncio.wait_for(self.begun.wait(), SECONDS)


async def test_a_caller_that_goes_away_or_is_late_frees_the_engine(
    chain: Servers, security: Security
) -> None:
    denoiser = chain[Role.DENOISER]
    before = counted(denoiser, "cancelled")
    endless, short = [await encoded(chain, security, steps) for steps in (ENDLESS, 2)]
    steps = Steps()
    async with client_of(denoiser, security) as client:
        work = asyncio.create_task(client.run(endless, on_step=steps))
        await steps.wait()
        work.cancel()
        await client.run(short)
        assert steps.last < ENDLESS
        with pytest.raises(DeadlineExceeded):
            await client.run(endless, deadline=asyncio.get_running_loop().time() + 1)
        await client.run(short)
    assert counted(denoiser, "cancelled") > before


async def test_w30_a_role_takes_stages_once_it_is_ready_and_loses_them_with_its_engine(
    chain: Servers, security: Security, start_server: Callable[..., ServerProcess]
) -> None:
    endless = await encoded(chain, security, ENDLESS)
    server = start_server("--role", "denoiser")
    engine = engine_of(server)
    engine.send_signal(signal.SIGSTOP)  # it loads no further
    server.wait_event("grpc_open")
    replica = Replica(
        Role.DENOISER, Address("127.0.0.1", server.grpc_port, "localhost"), BOUNDS, Security()
    )
    async with client_of(server, Security()) as client:
        with pytest.raises(NotReady, match="the denoiser is loading") as early:
            await client.run(endless)
        assert early.value.retry_after
        assert not await client.serving(SECONDS)
        found = await client.describe(SECONDS)
        assert (found.state, found.identity.revision) == (State.LOADING, "")
        await replica.look()
        assert not replica.serving

        engine.send_signal(signal.SIGCONT)
        await asyncio.to_thread(server.wait_ready)
        await replica.look()
        assert replica.serving
        assert replica.revision == server.metadata()["versions"][0], "known since it is loaded"

        steps = Steps()
        work = asyncio.create_task(client.run(endless, on_step=steps))
        await steps.wait()
        engine.kill()
        with pytest.raises(EngineLost):
            await work
    await replica.close()
    await asyncio.to_thread(assert_failed, server, ENGINE_DIED, "engine")


def answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


async def test_w33_running_stages_finish_and_new_ones_find_another_replica(
    chain: Servers, security: Security, tmp_path: Path, start_server: Callable[..., ServerProcess]
) -> None:
    """Over TLS, too."""
    certificate, key = self_signed(tmp_path, dns="localhost")
    long = await encoded(chain, security, 80)
    tls = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
    server = start_server("--role", "denoiser", *tls)
    trusting = Security.read(None, certificate)
    server.wait_event("The server is fired up and ready to roll!")
    async with client_of(server, trusting) as client, client_of(server, trusting) as stranger:
        steps = Steps()
        work = asyncio.create_task(client.run(long, on_step=steps))
        await steps.wait()
        assert await stranger.serving(SECONDS)
        server.process.send_signal(signal.SIGTERM)
        while answers(server.grpc_port):
            pass  # it has not begun to end yet
        with pytest.raises(ReplicaLost):
            await stranger.run(long)
        assert not work.done()
        latents = await work
    async with client_of(chain[Role.DENOISER], security) as other:
        assert (await other.run(long)).data == latents.data
    assert await asyncio.to_thread(server.wait_exit) == 0, server.log_tail()


async def test_diffusers_remote_decode_draws_what_the_chain_draws(
    chain: Servers, security: Security
) -> None:
    """Diffusers' own function, against the decoder as it is started in a pod."""
    async with client_of(chain[Role.DENOISER], security) as client:
        made = handed(await client.run(await encoded(chain, security, 2)))
    async with client_of(chain[Role.DECODER], security) as client:
        (drawn,) = pixels_of(await client.run(asked(Role.DECODER, made)))
    latents = made.tensors[f"{SCALED}.0"]
    decoder = chain[Role.DECODER]
    endpoint = f"{decoder.base_url}/decode"
    with_token = endpoint.replace("//", "//kiln:fox@")

    def decoded(**options: Any) -> Any:
        return remote_decode(with_token, latents, do_scaling=False, **options)

    found = await asyncio.to_thread(decoded, image_format="png")
    assert np.array_equal(np.asarray(found), drawn)
    tensor = await asyncio.to_thread(
        decoded, output_type="pt", return_type="pt", partial_postprocess=True
    )
    assert np.array_equal(tensor.numpy()[0], drawn)
    with pytest.raises(RuntimeError, match="authorization: no token came"):
        await asyncio.to_thread(remote_decode, endpoint, latents, scaling_factor=1.0)
    with pytest.raises(RuntimeError, match=r"shape: .* is not for AutoencoderKL"):
        await asyncio.to_thread(remote_decode, with_token, latents[:, :2], scaling_factor=1.0)
    assert metric(decoder, "kiln_requests_total", protocol="remote-vae", outcome="ok") == 2
    elsewhere = chain[Role.ENCODER].client.post("/decode")
    assert elsewhere.status_code == 404
