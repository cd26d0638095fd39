"""The envelope of v2 over REST: strict in reading, true to the byte in writing."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferOutput, InferResponse

from model.errors import InvalidRequest
from model.serving.tensors import DATATYPES, elements
from model.serving.v2_wire import LENGTH_HEADER, read_request, write_response

MODEL = "m"
PROMPT = {"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["a fox"]}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)
SIZES = st.integers(-2, 40) | JSON
# Near enough to requests that the reader gets past its first checks.
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["prompt", "seed"]) | JSON,
        "shape": st.lists(st.integers(-1, 3), max_size=2) | JSON,
        "datatype": st.sampled_from(DATATYPES) | JSON,
        "data": st.lists(SCALARS, max_size=2) | JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": SIZES}) | JSON,
    },
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=4) | JSON,
        "model_name": st.just(MODEL) | JSON,
        "inputs": st.lists(TENSORS | JSON, max_size=3) | JSON,
        "outputs": st.lists(st.fixed_dictionaries({"name": JSON}) | JSON, max_size=2) | JSON,
        "parameters": JSON,
    },
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        LENGTH_HEADER: st.integers(-1, 200).map(str) | st.text(max_size=6),
        "content-encoding": st.sampled_from(["identity", "gzip", ""]),
    },
)


def read(body: bytes, headers: Mapping[str, str] | None = None) -> Any:
    return read_request(body, headers or {}, MODEL)


def read_or_refuse(body: bytes, headers: Mapping[str, str]) -> None:
    try:
        found = read(body, headers)
        for each in found.inputs:
            elements(each)
    except InvalidRequest as error:
        assert error.field  # noqa: PT017
        assert len(str(error)) < 1000  # noqa: PT017


def with_length(request: Any, tail: bytes, wrong_by: int) -> tuple[bytes, dict[str, str]]:
    head = json.dumps(request).encode()
    return head + tail, {LENGTH_HEADER: str(len(head) + wrong_by)}


@given(st.binary(max_size=64), HEADERS)
def test_any_bytes_are_read_or_refused(body: bytes, headers: dict[str, str]) -> None:
    read_or_refuse(body, headers)


@given(JSON, HEADERS)
def test_any_json_is_read_or_refused(found: Any, headers: dict[str, str]) -> None:
    read_or_refuse(json.dumps(found).encode(), headers)


@given(REQUESTS, st.binary(max_size=40), st.sampled_from([0, 0, 0, 1, -1]))
def test_anything_like_a_request_is_read_or_refused(
    request: Any, tail: bytes, wrong_by: int
) -> None:
    read_or_refuse(*with_length(request, tail, wrong_by))
    read_or_refuse(json.dumps(request).encode(), {})


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_binary_parts_reach_their_tensors_in_order(parts: list[bytes]) -> None:
    inputs = [
        {"name": str(n), "shape": [len(each)], "datatype": "UINT8",
         "parameters": {"binary_data_size": len(each)}}
        for n, each in enumerate(parts)
    ]  # fmt: skip
    found = read(*with_length({"inputs": inputs}, b"".join(parts), 0))
    assert [bytes(elements(each)) for each in found.inputs] == parts


def test_binary_and_json_tensors_may_be_mixed() -> None:
    binary = {"name": "seed", "shape": [1], "datatype": "UINT8",
              "parameters": {"binary_data_size": 1}}  # fmt: skip
    found = read(*with_length({"inputs": [binary, PROMPT, binary]}, b"\x01\x02", 0))
    assert [elements(each) for each in found.inputs] == [[1], ["a fox"], [2]]


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        ({"inputs": [PROMPT], "extra": 1}, "body.extra"),
        ({"inputs": [{**PROMPT, "extra": 1}]}, "inputs[0].extra"),
        ({"inputs": [PROMPT], "outputs": [{"name": "x", "extra": 1}]}, "outputs[0].extra"),
        ({"inputs": [PROMPT, 7]}, "inputs[1]"),
        ({"inputs": [PROMPT], "id": 7}, "id"),
        ({"inputs": [PROMPT], "id": "x" * 257}, "id"),
        ({"inputs": [PROMPT], "model_name": "other"}, "model_name"),
        ({"inputs": [PROMPT], "parameters": [1]}, "parameters"),
        ({"inputs": [{**PROMPT, "shape": [1] * 9}]}, "inputs[0].shape"),
        ({"inputs": [{**PROMPT, "shape": [True]}]}, "inputs[0].shape"),
        ({"inputs": [{**PROMPT, "parameters": {"x": 1}}]}, "inputs[0].parameters.x"),
        ({"inputs": [{**PROMPT, "parameters": {"binary_data_size": 0}}]}, "inputs[0]"),
        ({"inputs": [{**PROMPT, "data": "a"}]}, "inputs[0].data"),
        ({}, "inputs"),
    ],
)
def test_refusals_name_the_part(request_body: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(json.dumps(request_body).encode(), {})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("size", "tail", "wrong_by", "field"),
    [
        (3, b"ab", 0, "inputs[0].binary_data_size"),
        (-3, b"", 0, "inputs[0].binary_data_size"),
        (True, b"a", 0, "inputs[0].binary_data_size"),
        (3, b"abcd", 0, "body"),
        (3, b"abc", 1000, "Inference-Header-Content-Length"),
        (3, b"abc", -1, "body"),
    ],
)
def test_lengths_must_add_up(size: Any, tail: bytes, wrong_by: int, field: str) -> None:
    tensor = {"name": "x", "shape": [3], "datatype": "UINT8",
              "parameters": {"binary_data_size": size}}  # fmt: skip
    with pytest.raises(InvalidRequest) as caught:
        read(*with_length({"inputs": [tensor]}, tail, wrong_by))
    assert caught.value.field == field


def test_what_is_read() -> None:
    body = {
        "id": "mine",
        "model_name": MODEL,
        "inputs": [PROMPT],
        "outputs": [{"name": "generated_image", "parameters": {"binary_data": True}}],
        "parameters": {"seed": 7},
    }
    found = read(json.dumps(body).encode())
    assert (found.id, found.model_name, found.parameters) == ("mine", MODEL, {"seed": 7})
    (tensor,) = found.inputs
    assert (tensor.name, tensor.shape, tensor.datatype) == ("prompt", [1], "BYTES")
    (output,) = found.request_outputs
    assert (output.name, output.parameters) == ("generated_image", {"binary_data": True})


# -- writing -----------------------------------------------------------------------------------


def response(*outputs: InferOutput, binary: bool) -> InferResponse:
    return InferResponse("id", MODEL, list(outputs), parameters={"seeds": "7"},
                         use_binary_outputs=binary)  # fmt: skip


def test_json_answer() -> None:
    output = InferOutput("x", [2], "BYTES", ["YQ==", "Yg=="])
    written, headers = write_response(response(output, binary=False))
    assert headers == {"Content-Type": "application/json"}
    found = orjson.loads(written)
    assert found["outputs"] == [
        {"name": "x", "shape": [2], "datatype": "BYTES", "data": ["YQ==", "Yg=="]}
    ]
    assert found["parameters"] == {"seeds": "7"}


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4))
def test_binary_answer(parts: list[bytes]) -> None:
    outputs = [
        InferOutput(str(n), [len(each)], "UINT8", np.frombuffer(each, np.uint8))
        for n, each in enumerate(parts)
    ]
    written, headers = write_response(response(*outputs, binary=True))
    assert headers["Content-Type"] == "application/octet-stream"
    length = int(headers["Inference-Header-Content-Length"])
    found = orjson.loads(written[:length])["outputs"]
    sizes = [each["parameters"]["binary_data_size"] for each in found]
    ends = itertools.accumulate(sizes, initial=length)
    assert [written[a:b] for a, b in itertools.pairwise(ends)] == parts
    assert length + sum(sizes) == len(written)
