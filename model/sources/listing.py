"""What a source is: it lists files, and reads them from any place on."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

CHUNK: Final = 1024 * 1024
CONNECT_SECONDS: Final = 10.0
# Of silence, while a file is read.
READ_SECONDS: Final = 60.0


class BrokenOff(Exception):
    """The source did not answer, or stopped in the middle; the same may work a moment later. The
    message holds no secret.
    """


@dataclass(frozen=True, slots=True)
class Digest:
    """A checksum in hexadecimal digits. ``algorithm``: one that ``digests`` knows. ``part_bytes``:
    where it is one of checksums of parts.
    """

    algorithm: str
    value: str
    part_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """``path``: in the model's folder. ``identity`` changes whenever the content does."""

    path: str
    size: int
    identity: str
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """``revision``: of all files together."""

    revision: str
    files: tuple[RemoteFile, ...]


class Source(Protocol):
    """Raises, everywhere: BrokenOff where it may work a moment later, a StartupError where not."""

    def pinned(self) -> str | None:
        """The revision, where the address names one that can never change."""

    def listing(self) -> Listing:
        """Everything that is there."""

    def digest(self, file: RemoteFile) -> Digest | None:
        """The checksum that the source has of a file, if it has one."""

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """Its content from byte ``start`` on."""


def revision_of(files: Iterable[RemoteFile]) -> str:
    """A hash of all identities, for sources that have no revisions."""
    told = sorted(f"{each.path} {each.size} {each.identity}" for each in files)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:40]
