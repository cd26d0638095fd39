"""What a picture's file says of itself, read without a decoder: hostile files cost a decoder memory
and time before it comes to their pixels.
"""

import struct
from typing import Final

from ..errors import InvalidRequest

# Cameras write some tens, editors with large previews some hundreds.
MOST_SEGMENTS: Final = 4_000
# Encoders write as little as four kilobytes of pixels into each.
MOST_CHUNKS: Final = 50_000
# Cameras and editors write about ten. Each is a pass over all pixels, of a few bytes in the file:
# without a bound, a file of a megabyte takes minutes.
MOST_SCANS: Final = 100

JPEG: Final = b"\xff\xd8\xff"
START_OF_SCAN: Final = b"\xff\xda"
MARKER: Final = 0xFF
# Of the segments that hold a size: all kinds of coding.
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PNG: Final = b"\x89PNG\r\n\x1a\n"
# Length, kind and checksum of a chunk.
AROUND_A_CHUNK: Final = 12
# How far the heads of files reach that hold their size.
PNG_HEAD: Final = 24
WEBP_HEAD: Final = 30


def check_container(data: bytes, field: str) -> tuple[int, int] | None:
    """Width and height, as the file has them in its head; None where it is not known here.

    Raises:
        InvalidRequest: it consists of too many parts.
    """
    if data.startswith(JPEG):
        return _jpeg(data, field)
    if data.startswith(PNG):
        return _png(data, field)
    return _webp(data)


def _jpeg(data: bytes, field: str) -> tuple[int, int] | None:
    place, segments, size = 2, 0, None
    # Segments say how long they are; what is inside them may look like a scan.
    while _is_segment(data, place):
        if data[place + 1] in FRAMES and place + 9 <= len(data):
            height, width = struct.unpack_from(">2H", data, place + 5)
            size = width, height
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        segments += 1
        if segments > MOST_SEGMENTS:
            raise _refused(field, "JPEG", MOST_SEGMENTS, "segments")
    if data.count(START_OF_SCAN, place) > MOST_SCANS:
        raise _refused(field, "JPEG", MOST_SCANS, "scans")
    return size


def _is_segment(data: bytes, place: int) -> bool:
    marker = data[place : place + 2]
    return len(marker) == 2 and marker[0] == MARKER and marker != START_OF_SCAN


def _png(data: bytes, field: str) -> tuple[int, int] | None:
    place, chunks = len(PNG), 0
    while place + AROUND_A_CHUNK <= len(data):
        place += AROUND_A_CHUNK + int.from_bytes(data[place : place + 4], "big")
        chunks += 1
        if chunks > MOST_CHUNKS:
            raise _refused(field, "PNG", MOST_CHUNKS, "chunks")
    if data[12:16] != b"IHDR" or len(data) < PNG_HEAD:
        return None
    width, height = struct.unpack_from(">2I", data, 16)
    return width, height


def _webp(data: bytes) -> tuple[int, int] | None:
    """https://developers.google.com/speed/webp/docs/riff_container"""
    if len(data) < WEBP_HEAD or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<2H", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _refused(field: str, kind: str, most: int, parts: str) -> InvalidRequest:
    return InvalidRequest(field, f"is a {kind} of more than {most} {parts}; save it anew")
