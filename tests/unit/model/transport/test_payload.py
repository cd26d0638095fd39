"""A payload is what it says, or it is refused before it is used."""

import itertools
import json
import tracemalloc
from typing import Any

import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.contract import wire
from model.contract.wire import ELEMENT_BYTES, Header, Stage
from model.errors import BadTransfer, PayloadTooLarge, WireVersionMismatch
from model.transport.payload import (
    MOST_HEADER_BYTES,
    Arrival,
    Bounds,
    Payload,
    pack,
    read_header,
    write_header,
)
from model.transport.safetensors_index import METADATA, read_index, write_index

BOUNDS = Bounds(bytes=1024 * 1024, tensors=8)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
FACTS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    ),
    max_size=4,
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Safetensors bytes of any content; a NaN among them is as good as any."""
    tensors, data = [], b""
    names = st.lists(NAMES.filter(lambda name: name != METADATA), max_size=5, unique=True)
    for name in draw(names):
        dtype = draw(st.sampled_from(sorted(ELEMENT_BYTES)))
        shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
        size = ELEMENT_BYTES[dtype]
        for each in shape:
            size *= each
        tensors.append((name, dtype, shape, size))
        data += draw(st.binary(min_size=size, max_size=size))
    return write_index(tensors) + data


def a_payload(data: bytes = bytes(range(24)), **changed: Any) -> Payload:
    whole = write_index([("latents", "F32", (2, 3), len(data))]) + data
    return pack(Stage.DENOISE, "r1", whole, {"steps": 4}, **changed)


def arrived(written: bytes, *chunks: bytes, bounds: Bounds = BOUNDS) -> Payload:
    arrival = Arrival(written, bounds)
    for each in chunks:
        arrival.add(each)
    return arrival.complete()


def lying(payload: Payload, **changed: Any) -> bytes:
    """Its header with other claims."""
    return json.dumps({**json.loads(write_header(payload.header)), **changed}).encode()


@settings(max_examples=60, deadline=None)
@given(data=files(), facts=FACTS, cuts=st.lists(st.integers(0, 400), max_size=4))
def test_what_is_sent_in_any_pieces_arrives(
    data: bytes, facts: dict[str, Any], cuts: list[int]
) -> None:
    sent = pack(Stage.DECODE, "r", data, facts, revision="v7", warmup=True)
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    chunks = [data[a:b] for a, b in itertools.pairwise(places)]
    found = arrived(write_header(sent.header), *chunks)
    assert found == sent
    assert found.header.facts == facts


@settings(max_examples=60, deadline=None)
@given(data=files(), where=st.integers(0, 2**16), flip=st.integers(1, 255))
def test_a_byte_that_changed_is_noticed(data: bytes, where: int, flip: int) -> None:
    sent = pack(Stage.DECODE, "r", data, {})
    broken = bytearray(data)
    broken[where % len(broken)] ^= flip
    with pytest.raises(BadTransfer, match="checksum"):
        arrived(write_header(sent.header), bytes(broken))


@settings(max_examples=60, deadline=None)
@given(noise=st.binary(max_size=200))
def test_noise_is_refused_as_a_header_and_as_a_file(noise: bytes) -> None:
    with pytest.raises(BadTransfer):
        read_header(noise, BOUNDS)
    with pytest.raises(BadTransfer):
        pack(Stage.DECODE, "r", b"\x10" + noise, {})


def test_the_receiver_reads_our_own_version_and_names_both_of_another() -> None:
    sent = a_payload()
    with pytest.raises(WireVersionMismatch, match=r"writes version 9 .* reads 1;") as refused:
        read_header(lying(sent, version=9, size="unreadable by us"), BOUNDS)
    assert refused.value.grpc_code == "FAILED_PRECONDITION"


def test_the_version_before_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there is one: a roll has both."""
    monkeypatch.setattr("model.transport.payload.READABLE_VERSIONS", (wire.WIRE_VERSION, 0))
    sent = a_payload()
    assert read_header(lying(sent, version=0), BOUNDS).version == 0


@pytest.mark.parametrize(
    ("changed", "error", "told"),
    [
        ({"size": 2**30}, PayloadTooLarge, "1073741824 bytes are announced.*--stage-max-bytes"),
        ({"size": 3}, BadTransfer, "size: 3 bytes cannot hold tensors of 24"),
        ({"checksum": 1}, BadTransfer, "checksum: .* of what came, 00000001 of what was sent"),
        ({"stage": "dream"}, BadTransfer, "stage"),
        ({"tensors": []}, BadTransfer, "the header and the safetensors index tell different"),
    ],
)
def test_a_header_that_lies(changed: dict[str, Any], error: type[Exception], told: str) -> None:
    sent = a_payload()
    with pytest.raises(error, match=told):
        arrived(lying(sent, **changed), sent.data)


def test_a_header_that_names_another_type_of_the_same_width() -> None:
    """Its own sense holds, and the checksum: only the file itself contradicts."""
    sent = a_payload()
    written = json.loads(write_header(sent.header))
    written["tensors"][0]["dtype"] = "I32"
    with pytest.raises(BadTransfer, match="tell different things"):
        arrived(json.dumps(written).encode(), sent.data)


def test_more_or_less_than_was_announced() -> None:
    sent = a_payload()
    written = write_header(sent.header)
    with pytest.raises(BadTransfer, match=f"the stream ended after {len(sent.data) - 1}"):
        arrived(written, sent.data[:-1])
    with pytest.raises(BadTransfer, match="more came"):
        arrived(written, sent.data, b"x")


def test_too_many_tensors() -> None:
    many = write_index([(str(n), "U8", (0,), 0) for n in range(9)])
    with pytest.raises(PayloadTooLarge, match=r"9 are announced.* takes 8.*--stage-max-tensors"):
        arrived(write_header(pack(Stage.DECODE, "r", many, {}).header), many)


def test_a_gigabyte_that_is_only_announced_takes_no_memory() -> None:
    announced = {"name": "x", "dtype": "U8", "shape": [2**30], "offset": 0, "size": 2**30}
    written = lying(a_payload(), size=2**30 + 100, tensors=[announced])
    roomy = Bounds(bytes=2**31, tensors=8)
    tracemalloc.start()
    try:
        arrival = Arrival(written, roomy)
        arrival.add(b"0" * 100)
        with pytest.raises(BadTransfer, match="the stream ended after 100"):
            arrival.complete()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024


def test_a_header_longer_than_any() -> None:
    long = a_payload().header.model_copy(update={"facts": {"x": "y" * MOST_HEADER_BYTES}})
    with pytest.raises(BadTransfer, match="are the most"):
        write_header(long)
    with pytest.raises(BadTransfer, match="are the most"):
        read_header(b" " * (MOST_HEADER_BYTES + 1), BOUNDS)


def test_a_text_that_is_no_unicode_is_refused_where_it_leaves() -> None:
    with pytest.raises(BadTransfer, match="header"):
        write_header(a_payload().header.model_copy(update={"facts": {"prompt": "\ud800"}}))


@pytest.mark.parametrize(
    ("index", "told"),
    [
        (b"[]", "index is wrong"),
        (b'{"a": 3}', "does not say where"),
        (b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}', "does not say where"),
        (b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [true, 4]}}', "does not say"),
        (b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', "takes 8 bytes"),
        (b'{"a": {"dtype": "Q4", "shape": [1], "data_offsets": [0, 4]}}', "'Q4' is none of"),
        (b'{"a": {"shape": [1], "data_offsets": [0, 4]}}', "dtype"),
        (b"{" * 3000, "index is wrong"),
        (b"[" * 200_000, "index is wrong"),
        (b"{}", "tells of 0 bytes, and 4 are there"),
    ],
)
def test_an_index_that_is_wrong(index: bytes, told: str) -> None:
    with pytest.raises(BadTransfer, match=told):
        read_index(len(index).to_bytes(8, "little") + index + b"data")


def test_an_index_longer_than_the_file() -> None:
    with pytest.raises(BadTransfer, match="longer than the file"):
        read_index((2**62).to_bytes(8, "little") + b"{}")


def test_metadata_of_the_file_is_no_tensor() -> None:
    index = b'{"__metadata__": {"format": "pt"}}'
    assert read_index(len(index).to_bytes(8, "little") + index) == ()


def test_the_header_alone_tells_what_comes() -> None:
    header = Header.model_validate_json(write_header(a_payload(revision="v2").header))
    assert [(each.name, each.dtype, each.shape) for each in header.tensors] == [
        ("latents", "F32", (2, 3))
    ]
    assert (header.revision, header.warmup) == ("v2", False)
    assert header.checksum == google_crc32c.value(a_payload().data)
