"""The elements of a v2 tensor, however it came: JSON list, raw bytes, or gRPC contents."""

import base64
import binascii
import math
import struct
from typing import Any, Final

import numpy as np
from kserve import InferInput

from ..errors import InvalidRequest

NUMBERS: Final = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES: Final = (*NUMBERS, "BYTES")
LARGEST_BYTE: Final = 255
LENGTH: Final = struct.Struct("<I")


def texts(tensor: InferInput) -> tuple[str, ...]:
    """A BYTES tensor [n] or [n, 1] of UTF-8 text."""
    _check_column(tensor)
    found = []
    for element in elements(tensor):
        if isinstance(element, bytes):
            try:
                element = element.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidRequest(tensor.name, "is not UTF-8 text") from error
        if not isinstance(element, str):
            raise InvalidRequest(tensor.name, "must hold text")
        found.append(element)
    return tuple(found)


def files(tensor: InferInput) -> tuple[bytes, ...]:
    """A BYTES tensor [n] or [n, 1] of files: raw in binary and gRPC, base64 in JSON."""
    _check_column(tensor)
    found = []
    for element in elements(tensor):
        if isinstance(element, str):
            try:
                element = base64.b64decode(element, validate=True)
            except (binascii.Error, ValueError) as error:
                raise InvalidRequest(tensor.name, "is not base64") from error
        if not isinstance(element, bytes):
            raise InvalidRequest(tensor.name, "must hold a file's bytes")
        found.append(element)
    return tuple(found)


def frames(tensor: InferInput) -> Any:
    """A UINT8 tensor [frames, height, width, 3] as an array."""
    shape = list(tensor.shape)
    if len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise InvalidRequest(
            tensor.name, f"must have shape [frames, height, width, 3], not {shape[:8]}"
        )
    raw = tensor._raw_data
    if raw is not None:
        found = np.frombuffer(raw, np.uint8)
        _check_count(tensor, found.size)
        return found.reshape(shape)
    flat = _flat(tensor.data or [], tensor.name)
    _check_count(tensor, len(flat))
    if not all(type(each) is int and 0 <= each <= LARGEST_BYTE for each in flat):
        raise InvalidRequest(tensor.name, "must hold whole numbers from 0 to 255")
    return np.array(flat, np.uint8).reshape(shape)


def scalar(tensor: InferInput) -> Any:
    """The one element of a knob that came as a tensor."""
    found = elements(tensor)
    if len(found) != 1:
        raise InvalidRequest(tensor.name, f"must have one element, not {len(found)}")
    value = found[0]
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRequest(tensor.name, "is not UTF-8 text") from error
    return value


def elements(tensor: InferInput) -> list[Any]:
    """All elements in row-major order; as many as the shape says.

    Raises:
        InvalidRequest: unknown datatype, or another number of elements than the shape has.
    """
    if tensor.datatype not in DATATYPES:
        raise InvalidRequest(
            tensor.name, f"datatype must be one of {', '.join(DATATYPES)}"
        )  # fmt: skip
    raw = tensor._raw_data
    found = _flat(tensor.data or [], tensor.name) if raw is None else _from_raw(tensor, raw)
    _check_count(tensor, len(found))
    return found


def _check_count(tensor: InferInput, found: int) -> None:
    expected = math.prod(tensor.shape)
    if found != expected:
        raise InvalidRequest(
            tensor.name, f"has {found} elements, but shape {list(tensor.shape)} says {expected}"
        )


def _check_column(tensor: InferInput) -> None:
    if tensor.datatype != "BYTES":
        raise InvalidRequest(tensor.name, f"must be BYTES, not {tensor.datatype[:20]}")
    shape = list(tensor.shape)
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)) or shape[0] < 1:
        raise InvalidRequest(tensor.name, f"must have shape [n] or [n, 1], not {shape[:8]}")


def _from_raw(tensor: InferInput, raw: bytes) -> list[Any]:
    if tensor.datatype == "BYTES":
        return _split(raw, tensor.name)
    kind = NUMBERS[tensor.datatype]
    if len(raw) % kind.itemsize:
        raise InvalidRequest(
            tensor.name, f"{len(raw)} bytes are no whole number of {tensor.datatype} elements"
        )
    found: list[Any] = np.frombuffer(raw, kind).tolist()
    return found


def _split(raw: bytes, name: str) -> list[bytes]:
    """Elements that are each preceded by their length, 4 bytes, little-endian."""
    found, place = [], 0
    while place < len(raw):
        end = place + LENGTH.size
        length = LENGTH.unpack_from(raw, place)[0] if end <= len(raw) else len(raw)
        if end + length > len(raw):
            raise InvalidRequest(name, "the lengths inside its binary data exceed the data")
        found.append(raw[end : end + length])
        place = end + length
    return found


def _flat(data: Any, name: str) -> list[Any]:
    """JSON data may be nested as the shape is, or flat."""
    if not isinstance(data, list | tuple):
        raise InvalidRequest(name, "data must be a list")
    found: list[Any] = []
    for each in data:
        if isinstance(each, list):
            found += _flat(each, name)
        else:
            found.append(each)
    return found
