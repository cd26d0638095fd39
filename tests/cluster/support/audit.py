"""What the API server says that one service account asked of it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.cluster.audit import LOG_NAME

READS = ("get", "list", "watch")
Writes = Counter[tuple[str, str]]
DECISION = "authorization.k8s.io/decision"


@dataclass(frozen=True, slots=True)
class Request:
    """``object``: resource, with its subresource, and name. ``code``: 0 where none was sent."""

    verb: str
    object: tuple[str, str]
    code: int
    at: str
    forbidden: bool

    @property
    def wrote(self) -> bool:
        return self.verb not in READS and 200 <= self.code < 300


@dataclass(frozen=True, slots=True)
class Audit:
    """``user``: its full name. ``start``: where the log ended when the test began."""

    log: Path
    user: str
    start: int = 0

    @classmethod
    def of(cls, cluster: Path, user: str) -> "Audit":
        log = cluster / LOG_NAME
        return cls(log, user, log.stat().st_size if log.exists() else 0)

    def requests(self) -> Iterator[Request]:
        """All that were answered since, in the order of their answers."""
        with self.log.open("rb") as file:
            file.seek(self.start)
            lines = file.read().splitlines(keepends=True)
        for line in lines:
            if not line.endswith(b"\n"):
                break  # it is being written
            found = json.loads(line)
            if found["user"]["username"] == self.user:
                yield _request(found)

    def writes(self, but: tuple[str, ...] = ("leases", "events")) -> Writes:
        """How often each object was written, without those of resources that always are."""
        return Counter(
            each.object for each in self.requests() if each.wrote and each.object[0] not in but
        )

    def forbidden(self) -> list[Request]:
        """What its rights did not allow."""
        return [each for each in self.requests() if each.forbidden]


def _request(found: dict[str, Any]) -> Request:
    place = found.get("objectRef") or {}
    resource = "/".join(
        each for each in (place.get("resource", ""), place.get("subresource")) if each
    )
    return Request(
        verb=found["verb"],
        object=(resource or found["requestURI"], place.get("name", "")),
        code=(found.get("responseStatus") or {}).get("code", 0),
        at=found["requestReceivedTimestamp"],
        forbidden=(found.get("annotations") or {}).get(DECISION) == "forbid",
    )
