"""Checksums as the sources have them, computed while the bytes pass by."""

import hashlib
import zlib
from typing import Final, Protocol

from .listing import Digest

SHA256: Final = "sha256"
MD5: Final = "md5"
# Git's name of a file: small files of the hub have no other.
GIT: Final = "git-sha1"
CRC32: Final = "crc32"
CRC32C: Final = "crc32c"
# S3's ETag of an object that came in parts.
MD5_OF_PARTS: Final = "md5-of-parts"


class Hasher(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def hasher(digest: Digest, size: int) -> Hasher:
    """One that has seen nothing yet, for a file of ``size`` bytes."""
    match digest.algorithm:
        case "sha256":
            return hashlib.sha256()
        case "md5":
            return hashlib.md5(usedforsecurity=False)
        case "git-sha1":
            return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        case "crc32":
            return Crc32()
        case "crc32c":
            return Crc32c()
        case "md5-of-parts":
            return Md5OfParts(digest.part_bytes)
    raise ValueError(f"{digest.algorithm} is no checksum that anybody computes")


class Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


class Crc32c:
    def __init__(self) -> None:
        from google_crc32c import Checksum

        self._checksum = Checksum()

    def update(self, data: bytes) -> None:
        self._checksum.update(data)

    def hexdigest(self) -> str:
        return bytes(self._checksum.digest()).hex()


class Md5OfParts:
    """The MD5 of the MD5s of the parts that an object was uploaded in, and their number."""

    def __init__(self, part_bytes: int) -> None:
        self._part_bytes = part_bytes
        self._left = part_bytes
        self._parts: list[bytes] = []
        self._part = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            taken, view = view[: self._left], view[self._left :]
            self._part.update(taken)
            self._left -= len(taken)
            if not self._left:
                self._close_part()

    def hexdigest(self) -> str:
        if self._left != self._part_bytes:
            self._close_part()
        whole = hashlib.md5(b"".join(self._parts), usedforsecurity=False)
        return f"{whole.hexdigest()}-{len(self._parts)}"

    def _close_part(self) -> None:
        self._parts.append(self._part.digest())
        self._part = hashlib.md5(usedforsecurity=False)
        self._left = self._part_bytes
