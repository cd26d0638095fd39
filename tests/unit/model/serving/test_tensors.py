"""A tensor's elements, however they came: what fits its shape is read, the rest refused by name."""

import base64
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferInput

from model.errors import InvalidRequest
from model.serving.tensors import DATATYPES, NUMBERS, elements, files, frames, scalar, texts

NAME = "thing"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)
SHAPES = st.lists(st.integers(0, 4), max_size=3)


def as_json(shape: list[int], data: Any, datatype: str = "BYTES") -> InferInput:
    return InferInput(NAME, shape, datatype, data)


def as_raw(shape: list[int], raw: bytes, datatype: str = "BYTES") -> InferInput:
    tensor = InferInput(NAME, shape, datatype)
    tensor._raw_data = raw
    return tensor


def prefixed(*found: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(each)) + each for each in found)


def refusal(function: Any, tensor: InferInput) -> str:
    with pytest.raises(InvalidRequest) as caught:
        function(tensor)
    assert caught.value.field == NAME
    return str(caught.value)


@pytest.mark.parametrize("function", [elements, texts, files, frames, scalar])
@given(tensor=st.builds(as_json, SHAPES, st.lists(JSON, max_size=4), st.sampled_from(DATATYPES)))
def test_any_json_is_read_or_refused_by_name(function: Any, tensor: InferInput) -> None:
    try:
        function(tensor)
    except InvalidRequest as error:
        assert error.field == NAME  # noqa: PT017


@pytest.mark.parametrize("function", [elements, texts, files, frames, scalar])
@given(tensor=st.builds(as_raw, SHAPES, st.binary(max_size=24), st.sampled_from(DATATYPES)))
def test_any_bytes_are_read_or_refused_by_name(function: Any, tensor: InferInput) -> None:
    try:
        function(tensor)
    except InvalidRequest as error:
        assert error.field == NAME  # noqa: PT017


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_texts_survive_both_ways(written: list[str]) -> None:
    shape = [len(written)]
    raw = [each.encode("utf-8", "surrogatepass") for each in written]
    assert texts(as_json(shape, written)) == tuple(written)
    assert texts(as_json([*shape, 1], [[each] for each in written])) == tuple(written)
    assert texts(as_raw(shape, prefixed(*raw))) == tuple(written)


@given(st.lists(st.binary(), min_size=1, max_size=5))
def test_files_survive_both_ways(written: list[bytes]) -> None:
    shape = [len(written)]
    encoded = [base64.b64encode(each).decode() for each in written]
    assert files(as_json(shape, encoded)) == tuple(written)
    assert files(as_json(shape, written)) == tuple(written), "gRPC contents are bytes already"
    assert files(as_raw(shape, prefixed(*written))) == tuple(written)


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_are_little_endian(datatype: str) -> None:
    values = np.array([0, 1, 1, 0], NUMBERS[datatype])
    found = elements(as_raw([2, 2], values.tobytes(), datatype))
    assert found == [0, 1, 1, 0]
    assert type(found[1]) is {"B": bool, "F": float}.get(datatype[0], int)


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (as_json([1], [7], "INT64"), 7),
        (as_json([], [7], "INT64"), 7),
        (as_json([1, 1], [[0.5]], "FP32"), 0.5),
        (as_json([1], ["png"]), "png"),
        (as_json([1], [b"png"]), "png"),
        (as_raw([1], prefixed(b"png")), "png"),
        (as_raw([1], struct.pack("<q", -3), "INT64"), -3),
    ],
)
def test_scalar(tensor: InferInput, value: Any) -> None:
    assert scalar(tensor) == value


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (as_json([2], [1, 2], "INT64"), "one element, not 2"),
        (as_json([0], [], "INT64"), "one element, not 0"),
        (as_raw([1], prefixed(b"\xff")), "not UTF-8"),
        (as_json([1], [1], "STRING"), "datatype"),
        (as_json([1], 7, "INT64"), "list"),
    ],
)
def test_scalar_refuses(tensor: InferInput, problem: str) -> None:
    assert problem in refusal(scalar, tensor)


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (as_json([1], ["a"], "INT64"), "must be BYTES, not INT64"),
        (as_json([0], []), "shape [n]"),
        (as_json([], ["a"]), "shape [n]"),
        (as_json([1, 2], ["a", "b"]), "shape [n]"),
        (as_json([-1], ["a"]), "shape [n]"),
        (as_json([2], ["a"]), "has 1 elements, but shape [2] says 2"),
        (as_json([10**12], ["a"]), "says 1000000000000"),
        (as_json([1], [7]), "must hold text"),
        (as_json([1], [None]), "must hold text"),
        (as_json([1], [{}]), "must hold text"),
        (as_raw([1], prefixed(b"\xff")), "not UTF-8"),
        (as_raw([1], b"\x01"), "lengths"),
        (as_raw([1], struct.pack("<I", 2**32 - 1)), "lengths"),
        (as_raw([1], b""), "has 0 elements"),
    ],
)
def test_texts_refuse(tensor: InferInput, problem: str) -> None:
    assert problem in refusal(texts, tensor)


@pytest.mark.parametrize("written", ["no base64!", "YQ", "YQ==\n", "ÄÖ==", "\ud800"])
def test_files_refuse_what_is_not_strict_base64(written: str) -> None:
    assert "base64" in refusal(files, as_json([1], [written]))


def test_a_text_is_no_echo() -> None:
    assert "secret" not in refusal(texts, as_json([2], ["secret"]))
