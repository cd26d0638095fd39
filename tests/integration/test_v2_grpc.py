"""KServe v2 over gRPC by its own messages: every form of tensors and parameters, and bad input."""

import struct
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as services

from tests.integration.support.requests import (
    INFER,
    KNOBS,
    OUTPUT,
    PROMPT,
    SEED,
    STEPS,
    base64_of,
    body,
    opened,
    pictures,
    pixels,
    png,
    tensor,
)
from tests.integration.support.server import MODEL, ServerProcess

SERVICE = "inference.GRPCInferenceService"
CODE = grpc.StatusCode
SECRET = "s3cret-payload"  # noqa: S105
Input = messages.ModelInferRequest.InferInputTensor
Output = messages.ModelInferRequest.InferRequestedOutputTensor


@pytest.fixture(scope="module")
def channel(server: ServerProcess) -> Iterator[Any]:
    with grpc.insecure_channel(
        server.grpc_address, [("grpc.max_receive_message_length", -1)]
    ) as opened_channel:
        yield opened_channel


@pytest.fixture(scope="module")
def stub(channel: Any) -> Any:
    return services.GRPCInferenceServiceStub(channel)


@pytest.fixture(scope="module")
def reference(server: ServerProcess) -> bytes:
    """The picture of ``PROMPT`` and ``KNOBS``, over REST."""
    return pictures(server.client.post(INFER, json=body()))[0]


@pytest.fixture(scope="module", autouse=True)
def _unharmed(server: ServerProcess, stub: Any, reference: bytes) -> Iterator[None]:
    """The next good request after all of them is answered as before, by the same engine."""
    engine = server.engine()
    yield
    assert drawn(stub.ModelInfer(request())) == [reference]
    assert server.engine() == engine


def parameter(value: Any) -> Any:
    """A value in the one of the three kinds that it has."""
    kinds = {bool: "bool_param", int: "int64_param", str: "string_param"}
    return messages.InferParameter(**{kinds[type(value)]: value})


def contents(**fields: Any) -> Any:
    return messages.InferTensorContents(**fields)


def texts(name: str, *elements: str | bytes, **fields: Any) -> Any:
    """A BYTES input with its elements in the message."""
    found = [each.encode() if isinstance(each, str) else each for each in elements]
    return Input(
        **{
            "name": name,
            "datatype": "BYTES",
            "shape": [len(found)],
            "contents": contents(bytes_contents=found),
            **fields,
        }
    )


def bare(name: str, shape: list[int] = [1], datatype: str = "BYTES") -> Any:  # noqa: B006
    """An input whose elements are elsewhere."""
    return Input(name=name, datatype=datatype, shape=shape)


def prefixed(*elements: bytes) -> bytes:
    """Raw BYTES elements, each behind its length."""
    return b"".join(struct.pack("<I", len(each)) + each for each in elements)


def request(*inputs: Any, raw: list[bytes] | None = None, **knobs: Any) -> Any:
    """A request for ``PROMPT``, or with the given inputs; ``KNOBS`` unless said otherwise."""
    named = {**KNOBS, **knobs}
    return messages.ModelInferRequest(
        model_name=MODEL,
        inputs=inputs or [texts("prompt", PROMPT)],
        parameters={name: parameter(value) for name, value in named.items() if value is not None},
        raw_input_contents=raw or [],
    )


def drawn(answer: Any) -> list[bytes]:
    """The encoded pictures of an answer, which come raw."""
    (output,) = answer.outputs
    assert (output.name, output.datatype) == (OUTPUT, "BYTES")
    (raw,) = answer.raw_output_contents
    found = []
    while raw:
        (length,) = struct.unpack_from("<I", raw)
        found.append(raw[4 : 4 + length])
        raw = raw[4 + length :]
    assert list(output.shape) == [len(found)]
    return found


SAME = {
    "in the message": request(),
    "raw": request(bare("prompt"), raw=[prefixed(PROMPT.encode())]),
    "column": request(texts("prompt", PROMPT, shape=[1, 1])),
    "numbers as text": request(num_inference_steps=str(STEPS), guidance_scale="2.0"),
    "knobs as tensors": request(
        texts("prompt", PROMPT),
        Input(name="seed", datatype="INT64", shape=[1], contents=contents(int64_contents=[SEED])),
        Input(
            name="num_inference_steps",
            datatype="UINT32",
            shape=[1],
            contents=contents(uint_contents=[STEPS]),
        ),
        Input(
            name="guidance_scale",
            datatype="FP32",
            shape=[1],
            contents=contents(fp32_contents=[2.0]),
        ),
        Input(
            name="deterministic",
            datatype="BOOL",
            shape=[1],
            contents=contents(bool_contents=[True]),
        ),
        texts("output_format", "png"),
        seed=None,
        num_inference_steps=None,
    ),
    "raw knobs": request(
        bare("prompt"),
        bare("seed", datatype="INT64"),
        bare("guidance_scale", datatype="FP16"),
        raw=[
            prefixed(PROMPT.encode()),
            struct.pack("<q", SEED),
            np.array([2.0], np.float16).tobytes(),
        ],
        seed=None,
    ),
    "output named": messages.ModelInferRequest(
        model_name=MODEL,
        inputs=[texts("prompt", PROMPT)],
        parameters={name: parameter(value) for name, value in KNOBS.items()},
        outputs=[Output(name=OUTPUT, parameters={"binary_data": parameter(True)})],
    ),
}


@pytest.mark.parametrize("message", SAME.values(), ids=SAME)
def test_each_way_to_say_it_means_the_same(stub: Any, reference: bytes, message: Any) -> None:
    assert drawn(stub.ModelInfer(message)) == [reference]


def test_prompts_in_order_with_seeds_and_facts(server: ServerProcess, stub: Any) -> None:
    prompts = (PROMPT, "a blue car on a yellow background")
    message = request(texts("prompt", *prompts), num_images_per_prompt=2)
    message.id = "mine"
    answer = stub.ModelInfer(message)
    as_rest = server.client.post(INFER, json=body(*prompts, num_images_per_prompt=2))
    assert drawn(answer) == pictures(as_rest)
    assert (answer.id, answer.model_name) == ("mine", MODEL)
    assert answer.model_version == server.metadata()["versions"][0]
    assert answer.parameters["seeds"].string_param == "7,8,9,10"
    assert answer.parameters["batch_size"].int64_param == 4
    assert answer.parameters["cold_shape"].bool_param is True
    assert float(answer.parameters["total_s"].string_param) > 0


def test_raw_pixels(stub: Any, reference: bytes) -> None:
    answer = stub.ModelInfer(request(output_format="raw"))
    (output,) = answer.outputs
    assert (output.datatype, list(output.shape)) == ("UINT8", [1, 128, 128, 3])
    found = np.frombuffer(answer.raw_output_contents[0], np.uint8).reshape(128, 128, 3)
    assert np.array_equal(found, pixels(reference))


def test_pictures_come_in_as_bytes(server: ServerProcess, stub: Any) -> None:
    mask = png(colour="white")
    message = request(texts("prompt", PROMPT), texts("image", png()), texts("mask", mask))
    inputs = [tensor("image", base64_of(png())), tensor("mask", base64_of(mask))]
    as_rest = server.client.post(INFER, json=body(inputs=inputs))
    assert drawn(stub.ModelInfer(message)) == pictures(as_rest)


def test_a_large_answer(stub: Any) -> None:
    """Beyond gRPC's own default of 4 MiB a message."""
    prompts = texts("prompt", *[PROMPT] * 6)
    answer = stub.ModelInfer(
        request(
            prompts,
            output_format="raw",
            width=512,
            height=512,
            num_inference_steps=1,
            guidance_scale="1",
        )
    )
    assert len(answer.raw_output_contents[0]) == 6 * 512 * 512 * 3 > 4 * 1024 * 1024


def test_known_version(server: ServerProcess, stub: Any, reference: bytes) -> None:
    message = request()
    message.model_version = server.metadata()["versions"][0]
    assert drawn(stub.ModelInfer(message)) == [reference]


def test_reflection_lists_the_services(channel: Any) -> None:
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]))
    names = {each.name for each in answer.list_services_response.service}
    assert names >= {SERVICE, "grpc.health.v1.Health"}


@pytest.mark.parametrize("name", ["", SERVICE, MODEL])
def test_health(channel: Any, name: str) -> None:
    found = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    assert found.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_an_unknown_service(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="other"))
    assert caught.value.code() is CODE.NOT_FOUND


# -- bad input ---------------------------------------------------------------------------------


def of_model(name: str, version: str = "") -> Any:
    message = request()
    message.model_name, message.model_version = name, version
    return message


BAD: dict[str, tuple[Any, str, Any]] = {
    "no inputs": (CODE.INVALID_ARGUMENT, "prompt", messages.ModelInferRequest(model_name=MODEL)),
    "prompt missing": (CODE.INVALID_ARGUMENT, "prompt", request(texts("negative_prompt", SECRET))),
    "prompt empty": (CODE.INVALID_ARGUMENT, "prompt", request(texts("prompt", ""))),
    "prompt with NUL": (CODE.INVALID_ARGUMENT, "prompt", request(texts("prompt", SECRET + "\0"))),
    "prompt overlong": (CODE.INVALID_ARGUMENT, "prompt", request(texts("prompt", SECRET * 1000))),
    "prompt not UTF-8": (CODE.INVALID_ARGUMENT, "prompt", request(texts("prompt", b"\xff\xfe"))),
    "prompt of no elements": (CODE.INVALID_ARGUMENT, "prompt", request(texts("prompt"))),
    "no contents": (CODE.INVALID_ARGUMENT, "prompt", request(bare("prompt"))),
    "wrong datatype": (
        CODE.INVALID_ARGUMENT,
        "prompt",
        request(
            Input(name="prompt", datatype="INT64", shape=[1], contents=contents(int64_contents=[1]))
        ),
    ),
    "unknown datatype": (
        CODE.INVALID_ARGUMENT,
        "prompt",
        request(texts("prompt", SECRET, datatype="STRING")),
    ),
    "no datatype": (CODE.INVALID_ARGUMENT, "prompt", request(texts("prompt", "a", datatype=""))),
    "contents of another type": (
        CODE.INVALID_ARGUMENT,
        "prompt",
        request(texts("prompt", contents=contents(int64_contents=[1]), shape=[1])),
    ),
    "fp16 contents": (
        CODE.INVALID_ARGUMENT,
        "guidance_scale",
        request(
            texts("prompt", SECRET),
            Input(
                name="guidance_scale",
                datatype="FP16",
                shape=[1],
                contents=contents(fp32_contents=[1]),
            ),
        ),
    ),
    "wrong shape": (
        CODE.INVALID_ARGUMENT,
        "prompt",
        request(texts("prompt", SECRET, shape=[1, 1, 1])),
    ),
    "negative shape": (
        CODE.INVALID_ARGUMENT,
        "prompt",
        request(texts("prompt", SECRET, shape=[-1])),
    ),
    "two negative dimensions": (
        CODE.INVALID_ARGUMENT,
        "prompt",
        request(texts("prompt", SECRET, shape=[-1, -1])),
    ),
    "more elements than the shape": (
        CODE.INVALID_ARGUMENT,
        "prompt",
        request(texts("prompt", SECRET, SECRET, shape=[1])),
    ),
    "unknown input": (
        CODE.INVALID_ARGUMENT,
        "depth",
        request(texts("prompt", SECRET), texts("depth", SECRET)),
    ),
    "input twice": (
        CODE.INVALID_ARGUMENT,
        "prompt",
        request(texts("prompt", SECRET), texts("prompt", SECRET)),
    ),
    "unknown parameter": (CODE.INVALID_ARGUMENT, "colour", request(colour=SECRET)),
    "parameter both ways": (
        CODE.INVALID_ARGUMENT,
        "seed",
        request(
            texts("prompt", SECRET),
            Input(name="seed", datatype="INT64", shape=[1], contents=contents(int64_contents=[1])),
        ),
    ),
    "parameter without a value": (
        CODE.INVALID_ARGUMENT,
        "seed",
        messages.ModelInferRequest(
            model_name=MODEL,
            inputs=[texts("prompt", SECRET)],
            parameters={"seed": messages.InferParameter()},
        ),
    ),
    "steps 0": (CODE.INVALID_ARGUMENT, "num_inference_steps", request(num_inference_steps=0)),
    "steps NaN": (CODE.INVALID_ARGUMENT, "num_inference_steps", request(num_inference_steps="NaN")),
    "steps true": (CODE.INVALID_ARGUMENT, "num_inference_steps", request(num_inference_steps=True)),
    "steps 10**9": (
        CODE.INVALID_ARGUMENT,
        "num_inference_steps",
        request(num_inference_steps=10**9),
    ),
    "width unaligned": (CODE.INVALID_ARGUMENT, "width", request(width=100)),
    "guidance inf": (CODE.INVALID_ARGUMENT, "guidance_scale", request(guidance_scale="inf")),
    "seed negative": (CODE.INVALID_ARGUMENT, "seed", request(seed=-1)),
    "seed 2**64": (CODE.INVALID_ARGUMENT, "seed", request(seed=str(2**64))),
    "gif": (CODE.INVALID_ARGUMENT, "output_format", request(output_format="gif")),
    "fewer raw contents than inputs": (
        CODE.INVALID_ARGUMENT,
        "raw",
        request(bare("prompt"), bare("image"), raw=[prefixed(SECRET.encode())]),
    ),
    "more raw contents than inputs": (
        CODE.INVALID_ARGUMENT,
        "raw",
        request(bare("prompt"), raw=[prefixed(b"a"), prefixed(b"b")]),
    ),
    "raw contents and contents": (
        CODE.INVALID_ARGUMENT,
        "raw_input_contents",
        request(texts("prompt", SECRET), raw=[prefixed(SECRET.encode())]),
    ),
    "raw length prefix too large": (
        CODE.INVALID_ARGUMENT,
        "prompt",
        request(bare("prompt"), raw=[struct.pack("<I", 100) + b"abc"]),
    ),
    "raw no whole number of elements": (
        CODE.INVALID_ARGUMENT,
        "seed",
        request(
            bare("prompt"), bare("seed", datatype="INT64"), raw=[prefixed(b"a"), b"abc"], seed=None
        ),
    ),
    "raw empty": (CODE.INVALID_ARGUMENT, "prompt", request(bare("prompt"), raw=[b""])),
    "image a text": (
        CODE.INVALID_ARGUMENT,
        "image",
        request(texts("prompt", SECRET), texts("image", SECRET)),
    ),
    "mask without image": (
        CODE.INVALID_ARGUMENT,
        "mask",
        request(texts("prompt", SECRET), texts("mask", png())),
    ),
    "too many prompts": (CODE.INVALID_ARGUMENT, "prompt", request(texts("prompt", *["a"] * 17))),
    "unknown output": (
        CODE.INVALID_ARGUMENT,
        OUTPUT,
        messages.ModelInferRequest(
            model_name=MODEL, inputs=[texts("prompt", SECRET)], outputs=[Output(name="depth")]
        ),
    ),
    "unknown parameter of an input": (
        CODE.INVALID_ARGUMENT,
        "prompt.classification",
        request(texts("prompt", SECRET, parameters={"classification": parameter(3)})),
    ),
    "id overlong": (
        CODE.INVALID_ARGUMENT,
        "id",
        messages.ModelInferRequest(
            model_name=MODEL, id=SECRET * 1000, inputs=[texts("prompt", SECRET)]
        ),
    ),
    "unknown model": (CODE.NOT_FOUND, MODEL, of_model("other")),
    "no model": (CODE.NOT_FOUND, MODEL, of_model("")),
    "unknown version": (CODE.NOT_FOUND, "version", of_model(MODEL, "7")),
    "message beyond the limit": (
        CODE.RESOURCE_EXHAUSTED,
        "",
        request(texts("prompt", bytes(33 * 1024 * 1024))),
    ),
}


@pytest.mark.parametrize(("code", "field", "message"), BAD.values(), ids=BAD)
def test_wrong_requests(stub: Any, code: Any, field: str, message: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(message)
    error = caught.value
    assert error.code() is code, error.details()
    assert field in error.details()
    assert SECRET not in error.details()
    assert len(error.details()) < 1000


@pytest.mark.parametrize(
    ("call", "message", "code"),
    [
        ("ModelReady", messages.ModelReadyRequest(name="other"), CODE.NOT_FOUND),
        ("ModelMetadata", messages.ModelMetadataRequest(name="other"), CODE.NOT_FOUND),
        (
            "RepositoryModelLoad",
            messages.RepositoryModelLoadRequest(model_name=MODEL),
            CODE.UNIMPLEMENTED,
        ),
        (
            "RepositoryModelUnload",
            messages.RepositoryModelUnloadRequest(model_name=MODEL),
            CODE.UNIMPLEMENTED,
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_not_served(stub: Any, call: str, message: Any, code: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, call)(message)
    assert caught.value.code() is code
    assert caught.value.details()


def test_a_client_that_gives_up_harms_nobody(stub: Any, reference: bytes) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request(num_inference_steps=1000), timeout=0.3)
    assert caught.value.code() is CODE.DEADLINE_EXCEEDED
    assert drawn(stub.ModelInfer(request())) == [reference]
    assert opened(reference).size == (128, 128)
