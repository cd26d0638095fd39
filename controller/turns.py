"""Whose turn it is when a new spec comes: the workers' first, then their router's. Servers take the
stages of an earlier version's router; a router need not know those of an earlier server. So nobody
meets what it does not understand, while both versions serve. And where new workers fail, the router
and the workers of before go on as they were.
"""

from dataclasses import replace
from typing import Final

from model.contract.roles import WORKERS

from .api.base import Object
from .parts import PartState
from .reasons import Finding

WORKER_PLACES: Final = frozenset(map(str, WORKERS))


def router_waits(parts: tuple[PartState, ...], live: str | None, wanted: str) -> bool:
    """``live`` and ``wanted``: hashes of the front's pods. None where there are none yet: then
    nothing of before has to be understood.
    """
    _, *workers = parts
    if live is None or live == wanted:
        return False
    return not all(each.complete and not each.old for each in workers)


def spared(parts: tuple[PartState, ...]) -> frozenset[str]:
    """Places whose children stay though the spec has no roles any more: a router of before serves
    until servers that do all by themselves have taken its place.
    """
    front, *workers = parts
    return frozenset() if workers or not front.old else WORKER_PLACES


def waiting(front: PartState, parts: tuple[PartState, ...]) -> PartState:
    """The front, which says for whom it waits."""
    late = [str(each.part.role) for each in parts[1:] if not each.complete or each.old]
    said = f"the pods in front stay as they were until these are of this spec: {', '.join(late)}"
    return replace(front, finding=Finding("WaitingForWorkers", said))


def spec_hash(body: Object | None, annotation: str) -> str | None:
    """Of the pods that a child makes; None where it makes none."""
    spec = (body or {}).get("spec") or {}
    template = (spec.get("template") or {}).get("metadata") or spec.get("predictor") or {}
    found: str | None = (template.get("annotations") or {}).get(annotation)
    return found
