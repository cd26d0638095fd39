"""Files that tests of decoders are fed."""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image, ImageCms

HEADER = 128


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def grey16(*values: int) -> Image.Image:
    """One row of sixteen bits a pixel."""
    return Image.fromarray(np.array([values], np.uint16))


def srgb_profile() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def swapped_profile() -> bytes:
    """Its red is sRGB's blue, and its blue sRGB's red."""
    return (
        srgb_profile()
        .replace(b"rXYZ", b"----", 1)
        .replace(b"bXYZ", b"rXYZ", 1)
        .replace(b"----", b"bXYZ", 1)
    )


def linear_grey_profile() -> bytes:
    """Of shades of grey whose values are amounts of light."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"g\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": white,
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">I", 0),
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = HEADER + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">2I", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = start + len(body)
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x02100000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    head += bytes(28) + white[8:]
    return head.ljust(HEADER, b"\0") + table + body
