"""One request through five clients: the same pictures, byte for byte, in the same order."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
import tritonclient.http as triton_http
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig
from tritonclient.utils import InferenceServerException

from tests.integration.support.clients import CLIENTS, Drawn, column, with_httpx
from tests.integration.support.requests import KNOBS, PROMPT, opened
from tests.integration.support.server import MODEL, ServerProcess
from tests.integration.support.triton_grpc import TritonGrpcError, call

PROMPTS = (PROMPT, "a blue car on a yellow background")
FLOATS = {"guidance_scale": 3.5}


@pytest.fixture(scope="module")
def reference(server: ServerProcess) -> Drawn:
    """What plain HTTP with JSON gets."""
    return with_httpx(server, PROMPTS, {**KNOBS, **FLOATS}, "reference")


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_gets_the_same_pictures_in_order(
    server: ServerProcess, reference: Drawn, client: str
) -> None:
    drawn = CLIENTS[client](server, PROMPTS, {**KNOBS, **FLOATS}, "my-id")
    assert len(set(drawn.pictures)) == len(PROMPTS)
    for picture in drawn.pictures:
        assert (opened(picture).format, opened(picture).size) == ("PNG", (128, 128))
    assert drawn.pictures == reference.pictures
    assert drawn.id == "my-id"
    assert drawn.parameters["seeds"] == "7,8"
    assert int(drawn.parameters["num_inference_steps"]) == KNOBS["num_inference_steps"]
    assert float(drawn.parameters["total_s"]) > 0


@pytest.mark.parametrize("client", CLIENTS)
def test_an_id_is_made_where_none_is_given(server: ServerProcess, client: str) -> None:
    ids = {CLIENTS[client](server, [PROMPT], KNOBS, "").id for _ in range(2)}
    assert len(ids) == 2
    assert "" not in ids


@pytest.mark.parametrize("client", CLIENTS)
def test_errors_reach_every_client(server: ServerProcess, client: str) -> None:
    """Each client has an error class of its own; the field is named in all of them."""
    raised = (
        AssertionError,
        InferenceServerException,
        TritonGrpcError,
        httpx.HTTPStatusError,
        grpc.RpcError,
    )
    with pytest.raises(raised) as caught:
        CLIENTS[client](server, [PROMPT], {"num_inference_steps": 0}, "")
    assert "num_inference_steps" in str(caught.value)


def test_triton_in_json_both_ways(server: ServerProcess, reference: Drawn) -> None:
    """Without the binary extension pictures come as base64."""
    prompt = triton_http.InferInput("prompt", [len(PROMPTS)], "BYTES")
    prompt.set_data_from_numpy(column(PROMPTS), binary_data=False)
    output = triton_http.InferRequestedOutput("generated_image", binary_data=False)
    address = server.base_url.removeprefix("http://")
    with triton_http.InferenceServerClient(address) as client:
        result = client.infer(MODEL, [prompt], outputs=[output], parameters={**KNOBS, **FLOATS})
    found = result.as_numpy("generated_image")
    assert [base64.b64decode(each) for each in found] == reference.pictures


def test_kserve_client_speaks_v1(server: ServerProcess, reference: Drawn) -> None:
    async def call() -> Any:
        async with InferenceRESTClient(RESTConfig(protocol="v1", timeout=120)) as client:
            instance = {"prompt": PROMPT, **KNOBS, **FLOATS}
            data = {"instances": [instance]}
            return await client.infer(server.base_url, data, model_name=MODEL)

    (prediction,) = asyncio.run(call())["predictions"]
    (alone,) = with_httpx(server, [PROMPT], {**KNOBS, **FLOATS}, "").pictures
    assert base64.b64decode(prediction["generated_image"][0]) == alone


def test_clients_at_once_get_their_own_pictures(server: ServerProcess) -> None:
    """Twelve requests in flight on four clients, all of one id: nobody gets another's."""
    draws = [CLIENTS[each] for each in ("httpx", "tritonclient.http", "kserve REST", "kserve gRPC")]

    def draw(number: int) -> list[bytes]:
        knobs = {**KNOBS, "seed": number}
        return draws[number % len(draws)](server, [PROMPT], knobs, "same-id").pictures

    with ThreadPoolExecutor(12) as pool:
        at_once = list(pool.map(draw, range(12)))
    in_turn = [with_httpx(server, [PROMPT], {**KNOBS, "seed": n}, "").pictures for n in range(12)]
    assert at_once == in_turn
    assert len({each[0] for each in at_once}) == 12


def test_prompts_are_not_logged(server: ServerProcess, reference: Drawn) -> None:
    """They are the users'."""
    assert [each for each in server.events("request") if each["outcome"] == "ok"]
    assert not [each for each in PROMPTS if each in server.log()]


def described_by_triton_http(server: ServerProcess) -> dict[str, Any]:
    with triton_http.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        return {
            "health": [
                client.is_server_live(),
                client.is_server_ready(),
                client.is_model_ready(MODEL),
            ],
            "server": client.get_server_metadata(),
            "model": client.get_model_metadata(MODEL),
        }


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_triton_clients_read_health_and_metadata(server: ServerProcess, protocol: str) -> None:
    found = (
        described_by_triton_http(server)
        if protocol == "http"
        else call(server.grpc_address, "describe", model=MODEL)
    )
    assert found["health"] == [True] * 3
    assert found["server"]["name"] == "kiln"
    assert found["server"]["extensions"] == ["binary_tensor_data"]
    model, metadata = found["model"], server.metadata()
    assert model["platform"] == "kiln_diffusers"
    assert model["versions"] == metadata["versions"]
    listed = {each["name"]: each["datatype"] for each in model["inputs"]}
    assert listed == {each["name"]: each["datatype"] for each in metadata["inputs"]}
    assert [each["name"] for each in model["outputs"]] == ["generated_image"]


def test_kserve_clients_read_health(server: ServerProcess) -> None:
    async def asked() -> list[bool]:
        rest = InferenceRESTClient(RESTConfig(protocol="v2"))
        async with rest, InferenceGRPCClient(server.grpc_address) as rpc:
            return [
                await rest.is_server_live(server.base_url),
                await rest.is_server_ready(server.base_url),
                await rest.is_model_ready(server.base_url, MODEL),
                await rpc.is_server_live(),
                await rpc.is_server_ready(),
                await rpc.is_model_ready(MODEL),
            ]

    assert asyncio.run(asked()) == [True] * 6
