"""Read what a client of OpenAI's API sends: JSON, or a form with files. Values stay as they are."""

import base64
import binascii
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ...errors import InvalidRequest

# What a part of a form may be called besides its field.
LIST: Final = "[]"
PICTURES: Final = ("image", "images", "mask", "markup", "input_reference")
# How a form has an object: of the field, one of its parts.
MEMBER: Final = re.compile(r"(\w+)\[(image_url|file_id)\]")
MOST_PARTS: Final = 100
FORM: Final = "multipart/form-data"
JSON: Final = "application/json"

# The picture at an address, which the second names the field of.
Fetch = Callable[[str, str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Body:
    """``values`` by field; ``pictures`` by field: encoded files."""

    values: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, tuple[bytes, ...]] = field(default_factory=dict)


async def read(content_type: str, body: bytes, fetch: Fetch) -> Body:
    """With the pictures that it names by address, which ``fetch`` gets.

    Raises:
        InvalidRequest: it is neither JSON nor a form, or is broken.
    """
    kind = content_type.split(";")[0].strip().lower()
    if kind == FORM:
        return await _form(content_type, body, fetch)
    if kind in (JSON, ""):
        return await _json(body, fetch)
    raise InvalidRequest("Content-Type", f"must be {JSON} or {FORM}")


async def _json(body: bytes, fetch: Fetch) -> Body:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("body", f"is not JSON: {error.msg} at byte {error.pos}") from None
    if not isinstance(found, dict):
        raise InvalidRequest("body", "must be a JSON object")
    # OpenAI's clients send null for what they leave out.
    values = {name: value for name, value in found.items() if value is not None}
    pictures = {
        name: tuple([await _picture(each, name, fetch) for each in _listed(values.pop(name))])
        for name in PICTURES
        if name in values
    }
    return Body(values, pictures)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


async def _picture(value: Any, name: str, fetch: Fetch) -> bytes:
    """Of base64, a ``data:`` URL, an address, or an object that has one as its ``image_url``."""
    if isinstance(value, Mapping):
        if "file_id" in value:
            raise InvalidRequest(name, "by file_id is not taken, since no files are kept here")
        value = value.get("image_url")
    if not isinstance(value, str) or not value:
        raise InvalidRequest(name, "must be base64, a data: URL or an address")
    if value.lower().startswith(("http:", "https:")):
        return await fetch(value, name)
    if value.startswith("data:"):
        start, comma, value = value.partition(",")
        if not comma or not start.endswith(";base64"):
            raise InvalidRequest(name, "is a data: URL without ;base64,")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(name, "is not base64") from None


async def _form(content_type: str, body: bytes, fetch: Fetch) -> Body:
    parser = MultiPartParser(
        Headers({"content-type": content_type}),
        _once(body),
        max_files=MOST_PARTS,
        max_fields=MOST_PARTS,
        max_part_size=len(body) + 1,
    )
    # Everything is in memory already, and nothing need be written where it runs.
    parser.spool_max_size = len(body) + 1
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise InvalidRequest("body", f"is not a readable form: {error}") from None
    values: dict[str, Any] = {}
    pictures: dict[str, tuple[bytes, ...]] = {}
    for key, part in form.multi_items():
        name = key.removesuffix(LIST)
        if isinstance(part, UploadFile):
            if name not in PICTURES:
                raise InvalidRequest(name[:100], "is a file, and no picture goes by this name")
            pictures[name] = (*pictures.get(name, ()), await part.read())
        elif (member := MEMBER.fullmatch(name)) and member[1] in PICTURES:
            name = member[1]
            pictures[name] = (
                *pictures.get(name, ()),
                await _picture({member[2]: part}, name, fetch),
            )
        elif name in PICTURES:
            pictures[name] = (*pictures.get(name, ()), await _picture(part, name, fetch))
        elif name in values:
            raise InvalidRequest(name[:100], "is given twice")
        else:
            values[name] = part
    return Body(values, pictures)


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
