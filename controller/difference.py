"""Whether a child must be written: a write that changes nothing is not made (C08).

Two questions to the live object. Does it say all that we want (drift)? And does the API server
hold us responsible for more than that (a field that we have given up since)?
"""

import json
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
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
    return not says(live, wanted) or owns_more(live, wanted)


def says(live: Any, wanted: Any) -> bool:
    """Whether ``live`` has everything of ``wanted``; it may have more: defaults, others' fields."""
    if isinstance(wanted, dict):
        if not isinstance(live, dict):
            # An empty object may be left out by the server.
            return not wanted and live is None
        return all(says(live.get(name), each) for name, each in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and _list_says(live, wanted)
    if wanted == live and isinstance(wanted, bool) == isinstance(live, bool):
        return True
    return _same_quantity(live, wanted)


def owns_more(live: Object, wanted: Object) -> bool:
    """Whether we own a field of ``live`` that ``wanted`` lacks."""
    for entry in live["metadata"].get("managedFields") or ():
        ours = entry.get("manager") == names.FIELD_MANAGER and not entry.get("subresource")
        if ours and not _covers(wanted, entry.get("fieldsV1") or {}):
            return True
    return False


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


def _keys(text: str) -> Object:
    keys: Object = json.loads(text)
    return keys


def _item(wanted: Any, keys: Object) -> Object | None:
    """The item of a list with these keys. Keys that have a default may be left out: a port's
    protocol.
    """
    for each in wanted if isinstance(wanted, list) else ():
        if isinstance(each, dict) and all(each.get(k, v) == v for k, v in keys.items()):
            return each
    return None


def _list_says(live: list[Any], wanted: list[Any]) -> bool:
    key = _item_key(wanted)
    if key is None:
        return len(live) == len(wanted) and all(map(says, live, wanted))
    by_key = {each.get(key): each for each in live if isinstance(each, dict)}
    return all(says(by_key.get(each[key]), each) for each in wanted)


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
