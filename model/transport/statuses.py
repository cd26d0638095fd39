"""Errors as gRPC statuses and back: what a replica raises, its caller catches as the same class.

The class travels as google.rpc.ErrorInfo, the hint to retry as RetryInfo, so that other programs
understand them, too.
"""

import json
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from ..errors import (
    BadTransfer,
    DeadlineExceeded,
    PayloadTooLarge,
    ReplicaLost,
    RequestError,
    TokenRefused,
)

DETAILS: Final = "grpc-status-details-bin"
DOMAIN: Final = "kiln.dev"
# The one attribute that a class has, too, and each error may have for itself.
OWN: Final = "retry_after"

# What gRPC itself says, where no role has spoken.
UNSPOKEN: Final[dict[grpc.StatusCode, type[RequestError]]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.RESOURCE_EXHAUSTED: PayloadTooLarge,
    grpc.StatusCode.UNIMPLEMENTED: BadTransfer,
    grpc.StatusCode.UNAUTHENTICATED: TokenRefused,
}


def details(error: RequestError) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata that tells the error."""
    code = grpc.StatusCode[error.grpc_code]
    # What it holds beside its message.
    facts = json.dumps(vars(error), default=str)
    told = ErrorInfo(reason=type(error).__name__, domain=DOMAIN, metadata={"facts": facts})
    status = Status(code=code.value[0], message=str(error), details=[_packed(told)])
    if error.retry_after is not None:
        seconds = int(error.retry_after)
        delay = Duration(seconds=seconds, nanos=round((error.retry_after - seconds) * 1e9))
        status.details.append(_packed(RetryInfo(retry_delay=delay)))
    return ((DETAILS, status.SerializeToString()),)


def revived(error: Any, peer: str) -> RequestError:
    """The error that ``peer`` raised; or, of what gRPC says for it, the class that fits.

    ``error``: a ``grpc.aio.AioRpcError``.
    """
    told = _told(error)
    if told is not None:
        return told
    kind = UNSPOKEN.get(error.code(), ReplicaLost)
    return kind(f"{peer}: {error.details() or error.code().name.lower()}")


def _told(error: Any) -> RequestError | None:
    """A class that only a newer release has is lost: its code decides then."""
    found = {str(key): value for key, value in error.trailing_metadata() or ()}
    try:
        status = Status.FromString(found.get(DETAILS, b""))
        info, retry = ErrorInfo(), RetryInfo()
        for each in status.details:
            if not each.Unpack(info):
                each.Unpack(retry)
        facts = json.loads(info.metadata.get("facts", "{}"))
    except (DecodeError, ValueError):
        return None
    kind = _classes().get(info.reason) if info.domain == DOMAIN else None
    if kind is None or not isinstance(facts, dict):
        return None
    # Its arguments are gone, and its message is made: so not by its constructor.
    made = kind.__new__(kind, status.message)
    for name, each in facts.items():
        # A status of the class is not for a peer to change.
        if name == OWN or not hasattr(made, name):
            setattr(made, name, each)
    return made


def _classes() -> dict[str, type[RequestError]]:
    found: dict[str, type[RequestError]] = {}
    waiting: list[type[RequestError]] = [RequestError]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting.extend(kind.__subclasses__())
    return found


def _packed(message: Any) -> Packed:
    packed = Packed()
    packed.Pack(message)
    return packed
