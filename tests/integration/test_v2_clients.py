"""One request through five clients: the same pictures, byte for byte, in the same order."""

import asyncio
from typing import Any

import grpc
import httpx
import pytest
import tritonclient.http as triton_http
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig
from tritonclient.utils import InferenceServerException

from tests.integration.support.clients import CLIENTS, Drawn, with_httpx
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
