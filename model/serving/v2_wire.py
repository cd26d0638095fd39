"""The bytes of KServe v2 over REST, both ways, with the binary tensor extension.

KServe's own reader takes wrong lengths for data and echoes payloads in its errors, so the envelope
is read here, strictly; the types are KServe's.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from kserve import InferInput, InferRequest, InferResponse
from kserve.protocol.infer_type import RequestedOutput

from ..errors import InvalidRequest
from .tensors import DATATYPES

LENGTH_HEADER: Final = "inference-header-content-length"
BINARY_SIZE: Final = "binary_data_size"
# KServe's own client writes model_name, which is in the path already.
REQUEST_KEYS: Final = frozenset({"id", "model_name", "parameters", "inputs", "outputs"})
INPUT_KEYS: Final = frozenset({"name", "shape", "datatype", "parameters", "data"})
OUTPUT_KEYS: Final = frozenset({"name", "parameters"})
MOST_DIMENSIONS: Final = 8
LONGEST_ID: Final = 256
# Python refuses to read numbers of more than 4300 digits.
MOST_DIGITS: Final = 20


def read_request(body: bytes, headers: Mapping[str, str], model: str) -> InferRequest:
    """Parse a request. ``headers`` by lower-case name.

    Raises:
        InvalidRequest: naming the part of the envelope that is wrong.
    """
    if headers.get("content-encoding", "identity") != "identity":
        raise InvalidRequest("Content-Encoding", "is not supported; send the body uncompressed")
    length = _json_length(headers, len(body))
    found = _object(_parsed(body[: length if length is not None else len(body)]), "body")
    _check_keys(found, REQUEST_KEYS, "body")
    if found.get("model_name", model) != model:
        raise InvalidRequest("model_name", f"is not the path's, {model!r}; leave it out")
    inputs = found.get("inputs")
    if not isinstance(inputs, list):
        raise InvalidRequest("inputs", "must be a list of tensors")
    reader = _BinaryReader(body, length)
    tensors = [_input(_object(each, f"inputs[{n}]"), n, reader) for n, each in enumerate(inputs)]
    reader.check_used()
    identity = found.get("id")
    if identity is not None and (not isinstance(identity, str) or len(identity) > LONGEST_ID):
        raise InvalidRequest("id", f"must be text of at most {LONGEST_ID} characters")
    return InferRequest(
        model_name=model,
        infer_inputs=tensors,
        request_id=identity,
        parameters=_object(found.get("parameters") or {}, "parameters"),
        request_outputs=_outputs(found.get("outputs")),
    )


def write_response(response: InferResponse) -> tuple[bytes, dict[str, str]]:
    """Body and headers."""
    written, json_length = response.to_rest()
    if json_length is None:
        return orjson.dumps(written), {"Content-Type": "application/json"}
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(json_length),
    }
    assert isinstance(written, bytes)
    return written, headers


class _BinaryReader:
    """Hands out the bytes behind the JSON, in the order of the inputs."""

    def __init__(self, body: bytes, start: int | None) -> None:
        self._body = body
        self._place = start

    def take(self, size: Any, where: str) -> bytes:
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise InvalidRequest(f"{where}.{BINARY_SIZE}", "must be a number of bytes")
        if self._place is None:
            raise InvalidRequest(
                f"{where}.{BINARY_SIZE}", "needs the header Inference-Header-Content-Length"
            )
        if self._place + size > len(self._body):
            left = len(self._body) - self._place
            raise InvalidRequest(f"{where}.{BINARY_SIZE}", f"is {size}, but {left} bytes are left")
        found = self._body[self._place : self._place + size]
        self._place += size
        return found

    def check_used(self) -> None:
        if self._place is not None and self._place < len(self._body):
            left = len(self._body) - self._place
            raise InvalidRequest("body", f"has {left} bytes more than the inputs say")


def _json_length(headers: Mapping[str, str], size: int) -> int | None:
    written = headers.get(LENGTH_HEADER)
    if written is None:
        return None
    digits = written.isascii() and written.isdigit() and len(written) <= MOST_DIGITS
    if not digits or int(written) > size:
        raise InvalidRequest(
            "Inference-Header-Content-Length",
            f"must be the length of the JSON part, from 0 to the body's {size} bytes",
        )
    return int(written)


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("body", f"is not JSON: {error.msg} at byte {error.pos}") from None


def _input(found: dict[str, Any], number: int, reader: _BinaryReader) -> InferInput:
    where = f"inputs[{number}]"
    _check_keys(found, INPUT_KEYS, where)
    name, datatype, shape = found.get("name"), found.get("datatype"), found.get("shape")
    if not isinstance(name, str):
        raise InvalidRequest(f"{where}.name", "must be text")
    if datatype not in DATATYPES:
        raise InvalidRequest(f"{where}.datatype", f"must be one of {', '.join(DATATYPES)}")
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS or not all(map(_whole, shape)):
        raise InvalidRequest(f"{where}.shape", "must be a list of whole numbers from 0 up")
    parameters = _object(found.get("parameters") or {}, f"{where}.parameters")
    for each in parameters:
        if each != BINARY_SIZE:
            raise InvalidRequest(f"{where}.parameters.{each[:100]}", "is not supported")
    tensor = InferInput(name, shape, datatype, found.get("data"), parameters)
    if BINARY_SIZE in parameters:
        if "data" in found:
            raise InvalidRequest(where, f"has both data and {BINARY_SIZE}; give one")
        tensor._raw_data = reader.take(parameters[BINARY_SIZE], where)
    elif not isinstance(found.get("data"), list):
        raise InvalidRequest(f"{where}.data", "must be a list")
    return tensor


def _outputs(found: Any) -> list[RequestedOutput] | None:
    if found is None:
        return None
    if not isinstance(found, list):
        raise InvalidRequest("outputs", "must be a list")
    outputs = []
    for number, each in enumerate(found):
        where = f"outputs[{number}]"
        _check_keys(_object(each, where), OUTPUT_KEYS, where)
        parameters = _object(each.get("parameters") or {}, f"{where}.parameters")
        outputs.append(RequestedOutput(str(each.get("name")), parameters))
    return outputs


def _object(found: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise InvalidRequest(where, "must be a JSON object")
    return found


def _check_keys(found: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    for key in found:
        if key not in known:
            raise InvalidRequest(
                f"{where}.{key[:100]}", f"is not known; known are {', '.join(sorted(known))}"
            )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
