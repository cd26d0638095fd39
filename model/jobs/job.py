"""One job, and the bounds that new ones are held to."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """As OpenAI's API has them."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


UNFINISHED = (Status.QUEUED, Status.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Job:
    """Times are seconds since 1970. ``owner``: who may see it; ``payer``: whose quota it counts
    against. ``request``: what JSON can hold of what was asked for, with the seed. ``told``: what an
    answer says of the result, known from the start. ``fingerprint``: of the request as it came, for
    the same ``key`` (idempotency) to find it. ``progress``: percent. ``restarts``: how often a
    server ended while it ran.
    """

    id: str
    owner: str
    payer: str
    created: float
    request: Mapping[str, Any]
    told: Mapping[str, Any]
    fingerprint: str
    key: str | None = None
    status: Status = Status.QUEUED
    progress: int = 0
    restarts: int = 0
    ended: float | None = None
    expires: float | None = None
    code: str | None = None
    problem: str | None = None

    @property
    def unfinished(self) -> bool:
        return self.status in UNFINISHED


@dataclass(frozen=True, slots=True)
class Limits:
    """Of unfinished jobs: of all, and of each payer."""

    all: int
    each: int


def new_job(
    *,
    owner: str,
    payer: str,
    request: Mapping[str, Any],
    told: Mapping[str, Any],
    fingerprint: str,
    key: str | None = None,
) -> Job:
    """One that waits, of an id that nobody guesses."""
    return Job(
        id=f"video_{uuid.uuid4().hex}",
        owner=owner,
        payer=payer,
        created=time.time(),
        request=request,
        told=told,
        fingerprint=fingerprint,
        key=key,
    )
