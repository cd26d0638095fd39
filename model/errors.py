"""Every error that a caller or an operator can meet, in one tree.

The class says how the error looks on each protocol, so that no handler maps errors by hand:
``http_status`` (REST), ``grpc_code`` (a name in ``grpc.StatusCode``), ``openai_type`` and
``openai_code`` (``type`` and ``code`` of OpenAI's error envelope) and ``retry_after`` (seconds
after which the same request may succeed, or None where it never will). Start-up errors carry the
``exit_code`` of the process instead.

A message is for the caller: it names the field, never echoes the payload, and says how to mend it.
"""

from typing import ClassVar


class KilnError(Exception):
    """The root. ``reason`` is what KServe's gRPC interceptor reads."""

    http_status: ClassVar[int] = 500
    grpc_code: ClassVar[str] = "INTERNAL"
    openai_type: ClassVar[str] = "server_error"
    openai_code: ClassVar[str] = "internal_error"
    retry_after: float | None = None

    @property
    def reason(self) -> str:
        return str(self)


class RequestError(KilnError):
    """A request that was not served."""


class InvalidRequest(RequestError):
    """The request itself is wrong; ``field`` names the part to mend."""

    http_status = 400
    grpc_code = "INVALID_ARGUMENT"
    openai_type = "invalid_request_error"
    openai_code = "invalid_value"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem

    def named(self, field: str) -> "InvalidRequest":
        """The same, where a protocol has another name for the field."""
        return type(self)(field, self.problem)


class UnknownField(InvalidRequest):
    """A field that nobody here knows, or that this server cannot heed."""

    openai_code = "unknown_parameter"

    def named(self, field: str) -> "InvalidRequest":
        """It has the name that the client gave it."""
        return self


class ShapeRefused(InvalidRequest):
    """Nothing is wrong with it, but it is outside of what the warmup has proven, and this server
    serves nothing else (W40), or has not the memory (W24)."""

    openai_code = "shape_not_warm"


class UnknownModel(RequestError):
    http_status = 404
    grpc_code = "NOT_FOUND"
    openai_type = "invalid_request_error"
    openai_code = "model_not_found"

    def __init__(self, name: str, served: str) -> None:
        super().__init__(f"model {name[:100]!r} is not served here; this server serves {served!r}")


class UnknownVersion(RequestError):
    http_status = 404
    grpc_code = "NOT_FOUND"
    openai_type = "invalid_request_error"
    openai_code = "model_not_found"

    def __init__(self, version: str, served: str) -> None:
        super().__init__(f"version {version[:100]!r} is not served; leave it out or use {served!r}")


class PayloadTooLarge(RequestError):
    http_status = 413
    grpc_code = "RESOURCE_EXHAUSTED"
    openai_type = "invalid_request_error"
    openai_code = "payload_too_large"


class Unsupported(RequestError):
    """The protocol has it, this server deliberately has not."""

    http_status = 501
    grpc_code = "UNIMPLEMENTED"
    openai_type = "invalid_request_error"
    openai_code = "not_supported"


class QueueFull(RequestError):
    http_status = 429
    grpc_code = "RESOURCE_EXHAUSTED"
    openai_type = "rate_limit_error"
    openai_code = "rate_limit_exceeded"

    def __init__(self, waiting: int, retry_after: float) -> None:
        super().__init__(f"the queue is full: {waiting} requests are waiting")
        self.retry_after = retry_after


class NotReady(RequestError):
    """Not warm yet, or no longer serving. ``details`` go into the body beside the message."""

    http_status = 503
    grpc_code = "UNAVAILABLE"
    openai_code = "not_ready"

    def __init__(self, message: str, retry_after: float, details: dict[str, object]) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.details = details


class EngineLost(RequestError):
    """The engine ended while it held the request. Another replica can serve it."""

    http_status = 503
    grpc_code = "UNAVAILABLE"
    openai_code = "engine_lost"
    retry_after = 1.0


class DeadlineExceeded(RequestError):
    http_status = 504
    grpc_code = "DEADLINE_EXCEEDED"
    openai_type = "timeout_error"
    openai_code = "deadline_exceeded"


class Cancelled(RequestError):
    """The client went away; nobody reads this answer. 499 is nginx's word for it."""

    http_status = 499
    grpc_code = "CANCELLED"
    openai_code = "cancelled"


class GenerationFailed(RequestError):
    """The pipeline raised. The engine lives on; the log has the traceback."""

    openai_code = "generation_failed"


class OutOfMemory(RequestError):
    """The device had no room for this request. A smaller one may fit."""

    http_status = 503
    grpc_code = "RESOURCE_EXHAUSTED"
    openai_code = "out_of_memory"


class BadTransfer(RequestError):
    """What one role sent to another is not whole, or not what its header says. No client did it."""

    http_status = 502
    grpc_code = "DATA_LOSS"
    openai_code = "bad_transfer"


class WireVersionMismatch(BadTransfer):
    """The two roles are of versions too far apart."""

    grpc_code = "FAILED_PRECONDITION"

    def __init__(self, theirs: int, ours: str) -> None:
        super().__init__(
            f"version: the sender writes version {theirs} of the header between roles, this "
            f"receiver reads {ours}; roll both to neighbouring releases of Kiln"
        )


class RevisionMismatch(RequestError):
    """The tensors come from another revision of the model than the one that is loaded."""

    http_status = 502
    grpc_code = "FAILED_PRECONDITION"
    openai_code = "bad_transfer"

    def __init__(self, theirs: str, ours: str) -> None:
        super().__init__(
            f"revision: the tensors come from revision {theirs[:100]!r} of the model, this replica "
            f"has {ours!r}; roles work together where --model is the same"
        )


class OtherRevision(RevisionMismatch):
    """A replica that cannot be part of the chain."""

    def __init__(self, theirs: str, ours: str) -> None:
        RequestError.__init__(
            self,
            f"revision: it has {theirs[:100]!r} of the model, and the chain {ours!r}; roles work "
            "together where --model is the same",
        )


class TokenRefused(RequestError):
    http_status = 401
    grpc_code = "UNAUTHENTICATED"
    openai_code = "token_refused"


class ReplicaLost(RequestError):
    """The replica ended, or its connection, while it held the stage. Another can do it."""

    http_status = 503
    grpc_code = "UNAVAILABLE"
    openai_code = "replica_lost"
    retry_after = 1.0


class ReplicaReplaced(ReplicaLost):
    """Another process answers at the replica's address, and nothing has proven that it is warm."""


class NoReplica(RequestError):
    """No replica of a role can take the stage now."""

    http_status = 503
    grpc_code = "UNAVAILABLE"
    openai_code = "no_replica"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownJob(RequestError):
    """It is not there, no longer there, or another key's."""

    http_status = 404
    grpc_code = "NOT_FOUND"
    openai_type = "invalid_request_error"
    openai_code = "video_not_found"


class JobUnfinished(RequestError):
    """It has no content: not yet, or never."""

    http_status = 404
    grpc_code = "FAILED_PRECONDITION"
    openai_type = "invalid_request_error"
    openai_code = "video_not_ready"


class IdempotencyConflict(RequestError):
    """The key was given before, with another request."""

    http_status = 409
    grpc_code = "ALREADY_EXISTS"
    openai_type = "invalid_request_error"
    openai_code = "idempotency_conflict"


class QuotaExceeded(RequestError):
    """Too many jobs that have not ended."""

    http_status = 429
    grpc_code = "RESOURCE_EXHAUSTED"
    openai_type = "rate_limit_error"
    openai_code = "quota_exceeded"
    retry_after = 10.0


class JobsElsewhere(RequestError):
    """Another server has the folder of the jobs, which in a rollout is about to end."""

    http_status = 503
    grpc_code = "UNAVAILABLE"
    openai_code = "jobs_elsewhere"
    retry_after = 2.0


class StartupError(KilnError):
    """The server cannot start, or cannot go on: the process ends with ``exit_code`` and the message
    as Kubernetes' termination message.
    """

    exit_code: ClassVar[int] = 1


class InvalidSettings(StartupError):
    exit_code = 2


class PortInUse(StartupError):
    exit_code = 3


class ModelNotLoadable(StartupError):
    exit_code = 4


class WarmupFailed(StartupError):
    exit_code = 5


class EngineDied(StartupError):
    exit_code = 6


class EngineStuck(StartupError):
    exit_code = 7


class StartupTimeout(StartupError):
    exit_code = 8


class SourceUnreachable(StartupError):
    """Where a model comes from does not answer. The same may work later."""

    exit_code = 9


class NoRoom(StartupError):
    """A folder cannot take what belongs into it."""

    exit_code = 10


class DownloadCorrupt(StartupError):
    """What arrives is not what the source lists."""

    exit_code = 11
