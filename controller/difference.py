"""Whether a child must be written: a write that changes nothing is not made (C08).

Two questions to the live object. Does it say all that we want (drift)? And does the API server
hold us responsible for more than that (a field that we have given up since)?
"""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from .api import names
from .api.base import Object

# What makes items of a list the same item, by what items have.
ITEM_KEYS: Final = ("name", "mountPath", "containerPort", "port", "topologyKey", "type")
SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)},
}
# Never ours to compare, though the API server may list them under our name.
IDENTITY: Final = frozenset({"apiVersion", "kind"})


def must_apply(wanted: Object, live: Object) -> bool:
    """Whether ``wanted`` would change ``live``, as far as it can be known without asking."""
    owned = [each.get("fieldsV1") or {} for each in _our_entries(live)]
    if any(not _covers(wanted, each) for each in owned):
        return True
    return not says(live, wanted, owned[0] if owned else None)


def says(live: Any, wanted: Any, owned: Object | None = None) -> bool:
    """Whether ``live`` has everything of ``wanted``; it may have more: defaults, others' fields.
    ``owned``: what of it is ours, in the form of managedFields. The server leaves zero values out:
    one that is not there and still ours is as it should be.
    """
    if live is None and not wanted:
        return owned is not None
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            says(live.get(name), each, _below(owned, f"f:{name}")) for name, each in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(live, list) and _list_says(live, wanted, owned)
    if wanted == live and isinstance(wanted, bool) == isinstance(live, bool):
        return True
    return _same_quantity(live, wanted)


def _our_entries(live: Object) -> Iterator[Object]:
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("manager") == names.FIELD_MANAGER and not entry.get("subresource"):
            yield entry


def _below(owned: Object | None, mark: str) -> Object | None:
    """The part of ``owned`` for one field. Below a leaf, all is owned: a list without keys."""
    if owned is None:
        return None
    return owned.get(mark) if set(owned) - {"."} else {}


def _below_item(owned: Object | None, item: Object) -> Object | None:
    if owned is None or not set(owned) - {"."}:
        return owned
    for mark, inner in owned.items():
        if mark.startswith("k:") and _item([item], _keys(mark[2:])) is not None:
            found: Object = inner
            return found
    return None


def _covers(wanted: Any, fields: Object) -> bool:
    """Whether every field of ``fields`` (in the form of managedFields) is in ``wanted``."""
    for mark, inner in fields.items():
        if mark == ".":
            continue
        kind, _, name = mark.partition(":")
        if kind == "f":
            if not isinstance(wanted, dict) or (name not in wanted and name not in IDENTITY):
                return False
            if not _covers(wanted.get(name), inner):
                return False
        elif kind == "k":
            found = _item(wanted, _keys(name))
            if found is None or not _covers(found, inner):
                return False
    return True


@lru_cache(maxsize=1024)
def _keys(text: str) -> Object:
    """Of a list's item, as managedFields has them. Services resemble each other: few are read more
    than once.
    """
    found: Object = json.loads(text)
    return found


def _item(wanted: Any, keys: Object) -> Object | None:
    """The item of a list with these keys. Keys that have a default may be left out: a port's
    protocol.
    """
    for each in wanted if isinstance(wanted, list) else ():
        if isinstance(each, dict) and all(each.get(k, v) == v for k, v in keys.items()):
            return each
    return None


def _list_says(live: list[Any], wanted: list[Any], owned: Object | None) -> bool:
    key = _item_key(wanted)
    if key is None:
        return len(live) == len(wanted) and all(
            says(ours, each, owned) for ours, each in zip(live, wanted, strict=True)
        )
    by_key = {each.get(key): each for each in live if isinstance(each, dict)}
    return all(says(by_key.get(each[key]), each, _below_item(owned, each)) for each in wanted)


def _item_key(items: Iterable[Any]) -> str | None:
    several = list(items)
    for key in ITEM_KEYS:
        if several and all(isinstance(each, dict) and key in each for each in several):
            return key
    return None


def _same_quantity(live: Any, wanted: Any) -> bool:
    """``0.5`` and ``500m`` are the same amount of CPU."""
    if isinstance(live, bool) or isinstance(wanted, bool):
        return False
    try:
        return _amount(live) == _amount(wanted)
    except (InvalidOperation, KeyError, TypeError):
        return False


def _amount(value: Any) -> Decimal:
    text = str(value)
    digits = text.rstrip("numkKMGTPEi")
    return Decimal(digits) * SUFFIXES[text[len(digits) :]]
