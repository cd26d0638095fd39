"""Tensors on their way: a header, and safetensors bytes that agree with it.

What arrives is checked in this order, each before the next costs anything: the header's length, its
version, its own sense, the bounds, the bytes' number, their checksum, and what they say themselves.
The bytes stay opaque: this process has no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import google_crc32c
from pydantic import ValidationError

from ..contract.wire import READABLE_VERSIONS, Announced, Header, Stage
from ..errors import BadTransfer, PayloadTooLarge, WireVersionMismatch
from .safetensors_index import problems, read_index

MOST_HEADER_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a receiver takes at most."""

    bytes: int
    tensors: int


@dataclass(frozen=True, slots=True)
class Payload:
    """``data``: safetensors bytes. Made by ``pack``, or by ``Arrival``, which have checked it."""

    header: Header
    data: bytes


def pack(
    stage: Stage,
    request_id: str,
    data: bytes,
    facts: Mapping[str, Any],
    *,
    revision: str = "",
    warmup: bool = False,
) -> Payload:
    """``data``, as safetensors wrote it, for the way to ``stage``, or for the way back from it.

    Raises:
        BadTransfer: the data is no such thing, or the facts are no JSON.
    """
    try:
        header = Header(
            stage=stage,
            request_id=request_id,
            revision=revision,
            facts=dict(facts),
            tensors=read_index(data),
            size=len(data),
            checksum=google_crc32c.value(data),
            warmup=warmup,
        )
    except ValidationError as error:
        raise BadTransfer(f"header: {problems(error)}") from None
    return Payload(header, data)


def write_header(header: Header) -> bytes:
    """
    Raises:
        BadTransfer: it is longer than any receiver takes, or a text in it is no Unicode.
    """
    try:
        written = header.model_dump_json().encode()
    except ValueError as error:
        raise BadTransfer(f"header: {error}") from None
    if len(written) > MOST_HEADER_BYTES:
        raise BadTransfer(f"header: {len(written)} bytes, and {MOST_HEADER_BYTES} are the most")
    return written


def read_header(written: bytes, bounds: Bounds) -> Header:
    """A header whose promises hold together and are within the bounds.

    Raises:
        WireVersionMismatch: it names both versions.
        PayloadTooLarge: by what is announced; nothing of it has been read.
        BadTransfer: anything else that is wrong, by field.
    """
    if len(written) > MOST_HEADER_BYTES:
        raise BadTransfer(f"header: {len(written)} bytes, and {MOST_HEADER_BYTES} are the most")
    try:
        version = Announced.model_validate_json(written).version
        if version not in READABLE_VERSIONS:
            raise WireVersionMismatch(version, ", ".join(map(str, READABLE_VERSIONS)))
        header = Header.model_validate_json(written)
    except ValidationError as error:
        raise BadTransfer(f"header: {problems(error)}") from None
    if header.size > bounds.bytes:
        raise PayloadTooLarge(
            f"size: {header.size} bytes are announced, and this receiver takes {bounds.bytes}; see "
            "--stage-max-bytes"
        )
    if len(header.tensors) > bounds.tensors:
        raise PayloadTooLarge(
            f"tensors: {len(header.tensors)} are announced, and this receiver takes "
            f"{bounds.tensors}; see --stage-max-tensors"
        )
    return header


class Arrival:
    """A payload that is on its way in. Memory grows with what has come, not with what is announced:
    a header may lie.
    """

    def __init__(self, written: bytes, bounds: Bounds) -> None:
        self.header = read_header(written, bounds)
        self._parts: list[bytes] = []
        self._size = 0
        self._checksum = 0

    @property
    def whole(self) -> bool:
        """As many bytes came as were announced."""
        return self._size >= self.header.size

    def add(self, chunk: bytes) -> None:
        """
        Raises:
            BadTransfer: more than was announced.
        """
        self._size += len(chunk)
        if self._size > self.header.size:
            raise BadTransfer(
                f"size: {self.header.size} bytes were announced, and more came; the header is wrong"
            )
        self._checksum = google_crc32c.extend(self._checksum, chunk)
        self._parts.append(chunk)

    def complete(self) -> Payload:
        """No more comes: check the whole.

        Raises:
            BadTransfer: it is not what was announced.
        """
        if self._size != self.header.size:
            raise BadTransfer(
                f"size: {self.header.size} bytes were announced, and the stream ended after "
                f"{self._size}"
            )
        if self._checksum != self.header.checksum:
            raise BadTransfer(
                f"checksum: {self._checksum:08x} of what came, {self.header.checksum:08x} of what "
                "was sent; the bytes were changed on their way"
            )
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if set(read_index(data)) != set(self.header.tensors):
            raise BadTransfer("tensors: the header and the safetensors index tell different things")
        return Payload(self.header, data)
