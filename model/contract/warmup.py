"""The words of the warmup settings."""

from enum import StrEnum


class WarmupMode(StrEnum):
    """``server``: requests that the server builds for itself run before Ready (W20). ``request``: a
    short copy of the first user request runs before it (W06). ``off``: nothing runs.
    """

    OFF = "off"
    REQUEST = "request"
    SERVER = "server"


class OnFailure(StrEnum):
    """What a failed warmup leads to (W25). ``abort`` ends the process. ``degraded`` turns Ready and
    says so in metadata, metrics and readiness answers. ``ready`` turns Ready; only the warmup
    report tells.
    """

    ABORT = "abort"
    DEGRADED = "degraded"
    READY = "ready"
