"""Every error says how it looks on each protocol, in words that the protocol has."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from model import errors
from model.errors import KilnError, NoReplica, NotReady, QueueFull, RequestError, StartupError

GRPC_CODES = {code.name for code in grpc.StatusCode}
OPENAI_TYPES = {
    "invalid_request_error",
    "rate_limit_error",
    "server_error",
    "timeout_error",
}
# The arguments of those that take more than one message.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "InvalidRequest": ("width", "must be a multiple of 8"),
    "ShapeRefused": ("width", "is not warm"),
    "UnknownField": ("colour", "is not known"),
    "UnknownModel": ("fox", "embedded"),
    "UnknownVersion": ("7", "1"),
    "QueueFull": (64, 1.5),
    "WireVersionMismatch": (9, "1"),
    "RevisionMismatch": ("theirs", "ours"),
    "OtherRevision": ("v2", "v1"),
    "NoReplica": ("none of the role is ready", 2.0),
    "NotReady": ("the server is warming", 2.0, {"state": "warming"}),
}
FIRST_STATUS_OF_A_SERVERS_FAULT = 500


def tree(root: type[KilnError]) -> Iterator[type[KilnError]]:
    yield root
    for each in root.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from tree(each)


ALL = list(tree(KilnError))


def an_error(kind: type[KilnError]) -> KilnError:
    return kind(*ARGUMENTS.get(kind.__name__, ("it did not work",)))


@pytest.mark.parametrize("kind", ALL)
def test_the_status_is_one_of_an_error(kind: type[KilnError]) -> None:
    assert 400 <= kind.http_status <= 599


@pytest.mark.parametrize("kind", ALL)
def test_the_grpc_code_exists_and_is_an_error(kind: type[KilnError]) -> None:
    assert kind.grpc_code in GRPC_CODES - {"OK"}


@pytest.mark.parametrize("kind", ALL)
def test_the_openai_type_exists(kind: type[KilnError]) -> None:
    assert kind.openai_type in OPENAI_TYPES


@pytest.mark.parametrize("kind", ALL)
def test_the_reason_is_the_message(kind: type[KilnError]) -> None:
    error = an_error(kind)
    assert error.reason == str(error) != ""


@pytest.mark.parametrize("kind", ALL)
def test_a_callers_fault_is_never_called_the_servers(kind: type[KilnError]) -> None:
    faulty_caller = kind.openai_type == "invalid_request_error"
    if faulty_caller and kind is not errors.Unsupported:
        assert kind.http_status < FIRST_STATUS_OF_A_SERVERS_FAULT
    if kind.http_status == 400:
        assert kind.grpc_code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "kind", [k for k in ALL if not issubclass(k, (QueueFull, NotReady, NoReplica))]
)
def test_a_hint_to_retry_is_given_where_it_can_help(kind: type[KilnError]) -> None:
    hint = an_error(kind).retry_after
    assert hint is None or (hint > 0 and kind.http_status in (429, 503))


def test_a_full_queue_says_how_full_and_when_to_come_back() -> None:
    error = QueueFull(64, 1.5)
    assert (error.http_status, error.grpc_code) == (429, "RESOURCE_EXHAUSTED")
    assert error.retry_after == 1.5
    assert "64" in str(error)


def test_w32_not_ready_carries_progress_and_when_to_come_back() -> None:
    error = NotReady("the server is warming", 2.0, {"state": "warming", "done": 1, "of": 3})
    assert (error.http_status, error.grpc_code, error.retry_after) == (503, "UNAVAILABLE", 2.0)
    assert error.details == {"state": "warming", "done": 1, "of": 3}


def test_one_hint_does_not_leak_into_the_next_error() -> None:
    QueueFull(1, 9.0)
    assert RequestError("x").retry_after is None


def test_an_invalid_request_starts_with_its_field() -> None:
    error = errors.InvalidRequest("width", "must be a multiple of 8")
    assert error.field == "width"
    assert str(error) == "width: must be a multiple of 8"


@pytest.mark.parametrize("kind", [errors.UnknownModel, errors.UnknownVersion])
def test_a_name_from_the_caller_is_cut(kind: type[KilnError]) -> None:
    error = kind("x" * 10_000, "embedded")
    assert len(str(error)) < 300
    assert "'embedded'" in str(error)


def test_exit_codes_tell_the_start_up_errors_apart() -> None:
    codes = [kind.exit_code for kind in tree(StartupError) if issubclass(kind, StartupError)]
    assert len(set(codes)) == len(codes)
    # 126 and up belong to the shell: not executable, not found, killed by a signal.
    assert all(1 <= code < 126 for code in codes)


def test_a_startup_error_is_no_request_error() -> None:
    assert not issubclass(StartupError, RequestError)
    assert {StartupError, RequestError} == set(KilnError.__subclasses__())
