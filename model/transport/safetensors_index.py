"""The index at the head of safetensors bytes, read and written without torch or numpy.

Eight bytes tell its length, then comes JSON: name to type, shape, and where the data lies.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from pydantic import ValidationError

from ..contract.wire import TensorEntry
from ..errors import BadTransfer

LENGTH_BYTES: Final = 8
# Of the index. A pipeline's conditioning has a dozen tensors, each with some hundred bytes of it.
MOST_INDEX_BYTES: Final = 4 * 1024 * 1024
METADATA: Final = "__metadata__"


def read_index(data: bytes) -> tuple[TensorEntry, ...]:
    """The tensors of ``data``, in the order of their bytes.

    Raises:
        BadTransfer: these are no safetensors bytes, or not all of them.
    """
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    if len(data) < LENGTH_BYTES or length > min(MOST_INDEX_BYTES, len(data) - LENGTH_BYTES):
        raise BadTransfer("payload: it is no safetensors file: its index is longer than the file")
    try:
        found = json.loads(data[LENGTH_BYTES : LENGTH_BYTES + length])
        entries = [_entry(name, each) for name, each in found.items() if name != METADATA]
    except (ValueError, AttributeError, RecursionError) as error:
        raise BadTransfer(f"payload: its safetensors index is wrong: {_told(error)}") from None
    entries.sort(key=lambda each: (each.offset, each.size))
    end = sum(each.size for each in entries)
    if end != len(data) - LENGTH_BYTES - length:
        raise BadTransfer(
            f"payload: its safetensors index tells of {end} bytes, and "
            f"{len(data) - LENGTH_BYTES - length} are there"
        )
    return tuple(entries)


def write_index(tensors: Iterable[tuple[str, str, tuple[int, ...], int]]) -> bytes:
    """The head of safetensors bytes. ``tensors``: name, type, shape and bytes of each; their data
    follows in this order."""
    index: dict[str, Any] = {}
    end = 0
    for name, dtype, shape, size in tensors:
        index[name] = {"dtype": dtype, "shape": shape, "data_offsets": (end, end + size)}
        end += size
    written = json.dumps(index, separators=(",", ":")).encode()
    # The data of a file that is mapped into memory begins at a multiple of eight.
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(LENGTH_BYTES, "little") + written


def _entry(name: str, found: Any) -> TensorEntry:
    if not isinstance(found, dict) or not _is_pair(found.get("data_offsets")):
        raise ValueError(f"{name[:100]!r} does not say where its data lies")
    begin, end = found["data_offsets"]
    return TensorEntry.model_validate(
        {
            "name": name,
            "dtype": found.get("dtype"),
            "shape": found.get("shape"),
            "offset": begin,
            "size": end - begin,
        }
    )


def _is_pair(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 2 and all(type(n) is int for n in found)


def _told(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return problems(error)
    return str(error)


def problems(error: ValidationError) -> str:
    """What pydantic found, each with the name of its field, and no more than three."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}".lstrip(
            ": "
        )
        for each in error.errors(include_url=False, include_input=False)[:3]
    )
