"""Clients of the v2 protocol that nobody here wrote, and plain HTTP, behind one call each."""

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import kserve
import numpy as np
import tritonclient.http as triton_http
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig

from tests.integration.support import triton_grpc
from tests.integration.support.requests import OUTPUT, body, pictures

Knobs = Mapping[str, Any]


class Server(Protocol):
    """Wherever it runs."""

    @property
    def base_url(self) -> str: ...
    @property
    def grpc_address(self) -> str: ...
    @property
    def client(self) -> httpx.Client: ...
    @property
    def model(self) -> str: ...


@dataclass(frozen=True)
class Drawn:
    """``parameters``: of the response, in the kinds that the protocol has."""

    id: str
    pictures: list[bytes]
    parameters: dict[str, Any]


Draw = Callable[[Server, Sequence[str], Knobs, str], Drawn]


def with_httpx(server: Server, prompts: Sequence[str], knobs: Knobs, id_: str) -> Drawn:
    answer = server.client.post(
        f"/v2/models/{server.model}/infer", json={**body(*prompts, **knobs), "id": id_}
    )
    found = pictures(answer)
    return Drawn(answer.json()["id"], found, answer.json()["parameters"])


def with_triton_http(server: Server, prompts: Sequence[str], knobs: Knobs, id_: str) -> Drawn:
    """Binary both ways: that is what this client does unless told otherwise."""
    with triton_http.InferenceServerClient(server.base_url.removeprefix("http://")) as client:
        result = client.infer(
            server.model, [_triton_prompt(prompts)], request_id=id_, parameters=dict(knobs)
        )
    answer = result.get_response()
    return Drawn(answer["id"], list(result.as_numpy(OUTPUT)), answer["parameters"])


def with_triton_grpc(server: Server, prompts: Sequence[str], knobs: Knobs, id_: str) -> Drawn:
    found = triton_grpc.call(
        server.grpc_address,
        "draw",
        model=server.model,
        prompts=list(prompts),
        parameters=without_floats(knobs),
        id_=id_,
    )
    return Drawn(
        found["id"], [base64.b64decode(each) for each in found["pictures"]], found["parameters"]
    )


def with_kserve_rest(server: Server, prompts: Sequence[str], knobs: Knobs, id_: str) -> Drawn:
    """Binary in, JSON out: this client makes text of every binary output, pictures too."""

    async def call() -> Any:
        async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=120)) as client:
            request = _kserve_request(server.model, prompts, knobs, id_)
            return await client.infer(server.base_url, request, model_name=server.model)

    answer = asyncio.run(call())
    found = [base64.b64decode(each) for each in answer.outputs[0].data]
    return Drawn(answer.id, found, answer.parameters)


def with_kserve_grpc(server: Server, prompts: Sequence[str], knobs: Knobs, id_: str) -> Drawn:
    async def call() -> Any:
        async with InferenceGRPCClient(server.grpc_address, timeout=120, retries=0) as client:
            request = _kserve_request(server.model, prompts, without_floats(knobs), id_)
            return await client.infer(request)

    answer = asyncio.run(call())
    return Drawn(answer.id, list(answer.outputs[0].as_numpy()), parameters_of(answer.parameters))


CLIENTS: dict[str, Draw] = {
    "httpx": with_httpx,
    "tritonclient.http": with_triton_http,
    "tritonclient.grpc": with_triton_grpc,
    "kserve REST": with_kserve_rest,
    "kserve gRPC": with_kserve_grpc,
}


def without_floats(knobs: Knobs) -> dict[str, Any]:
    """gRPC parameters hold no floats: those travel as text."""
    return {k: str(v) if isinstance(v, float) else v for k, v in knobs.items()}


def parameters_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """gRPC parameters as plain values."""
    return {
        name: getattr(each, each.WhichOneof("parameter_choice")) for name, each in found.items()
    }


def column(prompts: Sequence[str]) -> Any:
    return np.array([each.encode() for each in prompts], dtype=np.object_)


def _triton_prompt(prompts: Sequence[str]) -> Any:
    tensor = triton_http.InferInput("prompt", [len(prompts)], "BYTES")
    tensor.set_data_from_numpy(column(prompts))
    return tensor


def _kserve_request(model: str, prompts: Sequence[str], knobs: Knobs, id_: str) -> Any:
    tensor = kserve.InferInput("prompt", [len(prompts)], "BYTES")
    tensor.set_data_from_numpy(column(prompts), binary_data=True)
    return kserve.InferRequest(model, [tensor], request_id=id_ or None, parameters=dict(knobs))
