"""W44: a real router before real servers of the embedded model. The tests are in an order: the
later ones end servers and start them again.
"""

import asyncio
import signal
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import openai
import pytest
import safetensors.numpy
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as services

from tests.integration.faults.drills import ENDLESS, draw, metric, open_request
from tests.integration.router.conftest import World
from tests.integration.support.clients import CLIENTS
from tests.integration.support.load import Load
from tests.integration.support.requests import INFER, KNOBS, PROMPT, base64_of, body, pictures, png
from tests.integration.support.requests import tensor as a_tensor
from tests.integration.support.server import MODEL, ServerProcess, wait_until

PROMPTS = (PROMPT, "a blue car on a yellow background")
UNAVAILABLE = 503
ROLES = {"encoder": 1, "denoiser": 2, "decoder": 1}


def replicas(router: ServerProcess, role: str = "denoiser") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = router.metadata()["roles"][role]["replicas"]
    return found


def state_of(world: World, name: str) -> dict[str, Any]:
    address = f"127.0.0.1:{world.ports[name]}"
    (found,) = [
        each for each in replicas(world.router, name.rstrip("123")) if each["address"] == address
    ]
    return found


def becomes(world: World, name: str, state: str, *, serving: bool = True) -> dict[str, Any]:
    def reached() -> bool:
        found = state_of(world, name)
        return (found["state"], found["serving"]) == (state, serving)

    wait_until(reached, f"{name} is {state}")
    return state_of(world, name)


def test_w44_nobody_sees_it_ready_before_every_replica_is_warm(world: World) -> None:
    wait_until(lambda: httpx.codes.OK in world.witness.answers, "the witness sees it, too")
    assert world.witness.answers == [UNAVAILABLE, httpx.codes.OK]
    events = [each["event"] for each in world.router.events()]
    ready = events.index("The server is fired up and ready to roll!")
    assert events[:ready].count("replica_proven") == sum(ROLES.values())
    told = world.router.metadata()
    assert told["role"] == "router"
    for role, count in ROLES.items():
        found = told["roles"][role]
        assert (found["proven"], found["ready"]) == (count, count)
        assert (found["mode"], found["reason"]) == ("off", "disaggregated-role")
    assert {each["batch"] for each in told["warmup"]["shapes"] if each["proven"]} == {1, 2}
    assert told["warmup"]["done"] == told["warmup"]["of"]
    assert told["pipeline"]["class"] == "StableDiffusionPipeline"
    proven = metric(world.router, "kiln_replicas", role="denoiser", state="proven")
    assert proven == ROLES["denoiser"]


def test_w44_each_replica_ran_the_plan_and_no_user_is_counted_for_it(world: World) -> None:
    for each in world.roles.values():
        assert metric(each, "kiln_requests_total", protocol="stages") == 0
    assert metric(world.router, "kiln_images_total") == 0
    chains = {state_of(world, name)["chain"] for name in ("denoiser1", "denoiser2")}
    assert chains == {0, 1}, "each in a chain of its own"


def test_no_torch_is_in_the_routers_process(router: ServerProcess) -> None:
    mapped = Path(f"/proc/{router.process.pid}/maps").read_text()
    assert "libtorch" not in mapped
    assert router.engine() is None


@pytest.mark.parametrize("client", ["httpx", "tritonclient.grpc", "kserve REST"])
def test_the_same_bytes_as_one_server_by_every_client(
    router: ServerProcess, server: ServerProcess, client: str
) -> None:
    knobs = {**KNOBS, "num_images_per_prompt": 2}
    ours, theirs = (CLIENTS[client](each, PROMPTS, knobs, "my-id") for each in (router, server))
    assert len(set(ours.pictures)) == 4
    assert ours.pictures == theirs.pictures
    assert ours.id == "my-id"
    assert ours.parameters.keys() == theirs.parameters.keys()
    for name in ("seeds", "width", "num_inference_steps", "model_revision"):
        assert ours.parameters[name] == theirs.parameters[name]


def test_the_same_bytes_of_an_input_picture(router: ServerProcess, server: ServerProcess) -> None:
    asked = body(inputs=[a_tensor("image", base64_of(png()))], strength=0.9)
    ours, theirs = (pictures(each.client.post(INFER, json=asked)) for each in (router, server))
    assert ours == theirs


def test_the_same_bytes_by_openais_sdk(router: ServerProcess, server: ServerProcess) -> None:
    def drawn(each: ServerProcess) -> list[str | None]:
        with openai.OpenAI(base_url=f"{each.base_url}/v1", api_key="none", max_retries=0) as client:
            answer = client.images.generate(model=MODEL, prompt=PROMPT, n=2, extra_body=dict(KNOBS))
            return [one.b64_json for one in answer.data or []]

    assert drawn(router) == drawn(server)


def test_what_a_request_cost_is_told_by_stage(router: ServerProcess) -> None:
    told = draw(router).json()["parameters"]
    for name in ("prepare_s", "denoise_s", "decode_s", "total_s"):
        assert float(told[name]) > 0
    assert not told["cold_shape"]
    for role in ROLES:
        assert metric(router, "kiln_role_seconds_count", role=role) > 0
        assert metric(router, "kiln_hop_bytes_total", role=role, direction="received") > 0


def test_what_is_wrong_is_told_by_field(router: ServerProcess) -> None:
    answer = router.client.post(INFER, json=body(width=100))
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["error"].startswith("width: ")


def test_a_client_that_goes_away_stops_the_denoiser(world: World) -> None:
    denoisers = [world.roles[name] for name in ("denoiser1", "denoiser2")]

    def cancelled() -> float:
        return sum(metric(each, "kiln_requests_total", outcome="cancelled") for each in denoisers)

    before = cancelled()
    connection = open_request(world.router, ENDLESS)
    wait_until(
        lambda: any(metric(each, "kiln_requests_in_flight") for each in denoisers), "it is denoised"
    )
    connection.close()
    wait_until(lambda: cancelled() == before + 1, "the denoiser has stopped")
    assert metric(world.roles["decoder"], "kiln_requests_in_flight") == 0
    assert draw(world.router).status_code == httpx.codes.OK


def test_a_deadline_ends_the_request(router: ServerProcess) -> None:
    late = draw(router, ENDLESS, timeout_s=0.5)
    assert late.status_code == httpx.codes.GATEWAY_TIMEOUT


def test_a_trace_reaches_every_role_from_either_protocol(world: World) -> None:
    trace = {"traceparent": "00-{}-b7ad6b7169203331-01"}
    rest, rpc = "1" * 32, "2" * 32
    headers = {name: text.format(rest) for name, text in trace.items()}
    answer = world.router.client.post(INFER, json=body(), headers=headers)
    assert answer.status_code == httpx.codes.OK
    request = messages.ModelInferRequest(model_name=MODEL)
    tensor = request.inputs.add(name="prompt", shape=[1], datatype="BYTES")
    tensor.contents.bytes_contents.append(PROMPT.encode())
    request.parameters["num_inference_steps"].int64_param = 2
    with grpc.insecure_channel(world.router.grpc_address) as channel:
        stub = services.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(request, metadata=[(k, v.format(rpc)) for k, v in trace.items()])
    for role in ROLES:
        servers = [each for name, each in world.roles.items() if name.startswith(role)]
        found = {event.get("trace_id") for each in servers for event in each.events("request")}
        assert {rest, rpc} <= found, role


def test_two_routers_lead_requests_through_the_same_replicas(world: World, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "--role", "router", *world.addresses()) as other:
        other.wait_ready()
        both = (world.router, other)
        ours, theirs = (pictures(each.client.post(INFER, json=body())) for each in both)
        assert ours == theirs
        assert other.terminate() == 0


def test_w44_a_replica_with_broken_weights_is_kept_out_and_shown(
    world: World, pipeline_copy: Path
) -> None:
    """Of the same revision: nothing but what it computes tells."""
    weights = next((pipeline_copy / "unet").glob("*.safetensors"))
    broken = {
        name: np.full_like(each, np.nan)
        for name, each in safetensors.numpy.load_file(weights).items()
    }
    safetensors.numpy.save_file(broken, weights, metadata={"format": "pt"})
    bad = world.start("denoiser3", "--model", str(pipeline_copy))
    bad.wait_ready()
    told = becomes(world, "denoiser3", "failed")
    assert "its warmup failed: " in told["reason"]
    ready = world.router.client.get("/v2/health/ready").json()
    assert ready["ready"]
    assert f"127.0.0.1:{world.ports['denoiser3']} is kept out" in ready["degraded"]
    assert draw(world.router).status_code == httpx.codes.OK
    assert metric(bad, "kiln_requests_total", protocol="stages") == 0
    bad.terminate()
    becomes(world, "denoiser3", "failed", serving=False)


def test_no_request_fails_when_a_denoiser_is_killed_under_load(world: World) -> None:
    router = world.router
    clean = pictures(router.client.post(INFER, json=body()))
    world.witness.answers.clear()
    load = Load("127.0.0.1", router.http_port, router.grpc_port, MODEL)
    with load.running(kept=1, fresh=1, calls=1):
        load.served(2)
        world.roles["denoiser1"].process.send_signal(signal.SIGKILL)
        load.served(2)
        # While the other one works on: a warmup first, then traffic.
        again = world.start("denoiser1").wait_ready()
        becomes(world, "denoiser1", "proven")
        load.served(2)
        wait_until(lambda: metric(again, "kiln_requests_total", outcome="ok") > 0, "its share")
    assert load.failures() == []
    assert pictures(router.client.post(INFER, json=body())) == clean
    assert world.witness.answers == [httpx.codes.OK], "Ready all the time"


def test_without_a_decoder_it_is_a_503_until_there_is_one_again(world: World) -> None:
    router = world.router
    world.roles["decoder"].process.send_signal(signal.SIGKILL)
    wait_until(lambda: router.status("/v2/health/ready") == UNAVAILABLE, "NotReady")
    refused = router.client.post(INFER, json=body())
    assert refused.status_code == UNAVAILABLE
    assert int(refused.headers["Retry-After"]) >= 1
    assert "no decoder can take the work" in refused.json()["error"]
    assert router.status("/v2/health/live") == httpx.codes.OK
    assert not asyncio.run(grpc_ready(router))
    world.start("decoder")
    router.wait_ready()
    assert asyncio.run(grpc_ready(router))
    assert draw(router).status_code == httpx.codes.OK
    events = [each["event"] for each in router.events()]
    assert events.count("The server is fired up and ready to roll!") == 1
    assert "ready_again" in events


async def grpc_ready(router: ServerProcess) -> bool:
    """By ``grpc.health.v1``."""
    async with grpc.aio.insecure_channel(router.grpc_address) as channel:
        found = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        return bool(found.status == health_pb2.HealthCheckResponse.SERVING)
