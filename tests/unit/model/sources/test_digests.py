"""Checksums as the sources have them, against what other programs say of the same text."""

import pytest

from model.sources.digests import hasher
from model.sources.listing import Digest

TEXT = b"a fox on a yellow background\n"
# sha256sum, md5sum, git hash-object, gzip; CRC32C bit by bit; md5sum of parts of 20 bytes.
KNOWN = {
    "sha256": "3857c57fb2573c8a18fb797d84af323fab0d4186e0ba604f2f334f7d6f67bafc",
    "md5": "d7dfd9f8f4e78535f7d66cd2a75fc4bc",
    "git-sha1": "ebc12670b8fce5101a801c64c64ce0961707e984",
    "crc32": "00112950",
    "crc32c": "159191a7",
    "md5-of-parts": "8d65236f8a7b27f44c4ebeed6287ebe6-2",
}


@pytest.mark.parametrize("algorithm", KNOWN)
@pytest.mark.parametrize("size", [1, 7, 20, 29])
def test_a_checksum_is_that_of_other_programs(algorithm: str, size: int) -> None:
    made = hasher(Digest(algorithm, "", part_bytes=20), len(TEXT))
    for start in range(0, len(TEXT), size):
        made.update(TEXT[start : start + size])
    assert made.hexdigest() == KNOWN[algorithm]


def test_a_checksum_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="md6"):
        hasher(Digest("md6", ""), 1)
