"""What crosses beside the messages, and who may call."""

from pathlib import Path

import pytest

from model.errors import InvalidSettings, TokenRefused
from model.transport import calling
from model.transport.calling import CHUNK_BYTES, Security, chunks, metadata, traced
from model.transport.payload import MOST_HEADER_BYTES

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_the_limits_hold_a_header_and_a_chunk() -> None:
    limits = dict(calling.LIMITS)
    assert limits["grpc.max_receive_message_length"] > CHUNK_BYTES + MOST_HEADER_BYTES
    assert limits["grpc.default_compression_algorithm"] == 0, "GRPC_COMPRESS_NONE"


def test_chunks_are_the_whole() -> None:
    for size in (0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES):
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        found = list(chunks(data))
        assert b"".join(found) == data
        assert max(map(len, found)) <= CHUNK_BYTES
        assert len(found) == max(1, -(-size // CHUNK_BYTES))


def test_metadata_is_ascii_whatever_a_client_calls_its_request() -> None:
    found = dict(metadata(Security((b"new", b"old")), "größe/☃\n", "i", {"traceparent": PARENT}))
    assert found == {
        "authorization": "Bearer new",
        "kiln-request-id": "gr%C3%B6%C3%9Fe/%E2%98%83%0A",
        "kiln-instance": "i",
        "traceparent": PARENT,
    }
    assert metadata(Security()) == []


@pytest.mark.parametrize(
    "parent",
    [
        *("", "garbage", PARENT[:-1], PARENT.upper(), "ff" + PARENT[2:], f"{PARENT}\r\nx: y"),
        PARENT + "0",
    ],
)
def test_a_broken_trace_context_is_ignored_as_a_whole(parent: str) -> None:
    assert traced({"traceparent": parent, "tracestate": "a=1"}) == {}


def test_a_state_that_is_broken_leaves_the_parent() -> None:
    assert traced({"traceparent": PARENT, "tracestate": "a\n"}) == {"traceparent": PARENT}
    assert traced({"traceparent": f"{PARENT}-of-tomorrow"})


def test_tokens_come_from_a_file_one_on_a_line(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("new\n\nold\n")
    found = Security.read(file, None)
    assert found == Security((b"new", b"old"))
    found.check("Bearer old")
    found.check(b"Bearer new")
    for wrong in ("", "Bearer ", "Bearer", "Bearer ne", "bearer new", "Bearer größe"):
        with pytest.raises(TokenRefused):
            found.check(wrong)
    Security.read(None, None).check("")


def test_files_that_are_of_no_use_are_named(tmp_path: Path) -> None:
    empty = tmp_path / "token"
    empty.write_text(" \n")
    with pytest.raises(InvalidSettings, match=r"^role_token_file: .*is empty"):
        Security.read(empty, None)
    with pytest.raises(InvalidSettings, match=r"^role_token_file: .*No such file"):
        Security.read(tmp_path / "none", None)
    with pytest.raises(InvalidSettings, match=r"^role_ca_file: .*No such file"):
        Security.read(None, tmp_path / "none")
