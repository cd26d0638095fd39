"""Count and log every request of a user, whatever its protocol."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import (
    Cancelled,
    DeadlineExceeded,
    EngineLost,
    NoReplica,
    NotReady,
    QueueFull,
    ReplicaLost,
    RequestError,
)
from ..telemetry.logs import get_logger
from ..telemetry.metrics import Metrics

log = get_logger(__name__)

OUTCOME_OF: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (asyncio.CancelledError, "cancelled"),
    (Cancelled, "cancelled"),
    (QueueFull, "rejected"),
    (NotReady, "not_ready"),
    (NoReplica, "not_ready"),
    (DeadlineExceeded, "deadline"),
    (EngineLost, "engine_lost"),
    (ReplicaLost, "engine_lost"),
)


@contextmanager
def counted(metrics: Metrics, protocol: str) -> Iterator[dict[str, str]]:
    """Count the request, time it when it succeeds, and log its end in one line, with what the block
    puts into the dictionary that it gets."""
    started = time.monotonic()
    outcome = "ok"
    line: dict[str, str] = {}
    metrics.in_flight.inc()
    try:
        yield line
        metrics.request_seconds.labels(protocol).observe(time.monotonic() - started)
    except BaseException as error:
        outcome = outcome_of(error)
        raise
    finally:
        metrics.in_flight.dec()
        metrics.requests.labels(protocol, outcome).inc()
        seconds = round(time.monotonic() - started, 4)
        log.info("request", protocol=protocol, outcome=outcome, seconds=seconds, **line)


def outcome_of(error: BaseException) -> str:
    """The label of ``kiln_requests_total``. The client's mistakes are ``invalid``."""
    for kind, outcome in OUTCOME_OF:
        if isinstance(error, kind):
            return outcome
    mistaken = isinstance(error, RequestError) and error.http_status < 500
    return "invalid" if mistaken else "failed"
