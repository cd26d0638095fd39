"""What is known of the cluster: the services, their children and their pods, as last heard.

Watches tell of changes, and answers to our own writes are put in at once, so that a reconcile never
acts on what it has itself replaced.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from sys import intern
from typing import Any, Final, NamedTuple

from .api import names
from .api.base import Object
from .api.kinds import BY_NAME, POD, SERVICE, Kind


class ServiceKey(NamedTuple):
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ObjectKey(NamedTuple):
    kind: str
    name: str


NOTHING: Final[Object] = {}
# What the operator reads of a pod. The rest would only cost memory.
POD_METADATA: Final = ("name", "namespace", "uid", "labels", "annotations", "deletionTimestamp")


def key_of(kind: Kind, body: Object) -> ServiceKey | None:
    """Which service it belongs to; None where it belongs to none."""
    metadata = body["metadata"]
    if kind is SERVICE:
        return ServiceKey(metadata["namespace"], metadata["name"])
    name = (metadata.get("labels") or {}).get(names.SERVICE_LABEL)
    return ServiceKey(metadata["namespace"], name) if name else None


@dataclass(slots=True)
class Observed:
    """Bodies by service. Nobody changes a body."""

    services: dict[ServiceKey, Object] = field(default_factory=dict)
    belongings: dict[ServiceKey, dict[ObjectKey, Object]] = field(default_factory=dict)

    def put(self, kind: Kind, body: Object) -> ServiceKey | None:
        """Take in what was seen, unless something newer is known; return the service it belongs
        to.
        """
        key = key_of(kind, body)
        if key is None:
            return None
        if kind is SERVICE:
            if is_newer(body, self.services.get(key)):
                self.services[key] = _shared(_slim(kind, body))
        else:
            place = self.belongings.setdefault(key, {})
            named = ObjectKey(kind.name, body["metadata"]["name"])
            if is_newer(body, place.get(named)):
                place[named] = _shared(_slim(kind, body))
        return key

    def remove(self, kind: Kind, body: Object) -> ServiceKey | None:
        """Forget what is gone; return the service it belonged to."""
        key = key_of(kind, body)
        if key is None:
            return None
        if kind is SERVICE:
            self.services.pop(key, None)
        else:
            place = self.belongings.get(key, {})
            place.pop(ObjectKey(kind.name, body["metadata"]["name"]), None)
            if not place:
                self.belongings.pop(key, None)
        return key

    def child(self, key: ServiceKey, kind: str, name: str) -> Object | None:
        return self.belongings.get(key, {}).get(ObjectKey(kind, name))

    def children(self, key: ServiceKey) -> Iterator[tuple[Kind, Object]]:
        """All but pods."""
        for named, body in self.belongings.get(key, {}).items():
            if named.kind != POD.name:
                yield BY_NAME[named.kind], body

    def pods(self, key: ServiceKey, place: str) -> list[Object]:
        """Of one part, those that are not on their way out."""
        return [
            body
            for named, body in self.belongings.get(key, {}).items()
            if named.kind == POD.name
            and body["metadata"]["labels"].get(names.PART_LABEL) == place
            and not body["metadata"].get("deletionTimestamp")
        ]

    def everything(self, kind: Kind) -> Iterator[Object]:
        """Of one kind, of all services."""
        if kind is SERVICE:
            yield from self.services.values()
            return
        for place in self.belongings.values():
            yield from (body for named, body in place.items() if named.kind == kind.name)


def is_newer(body: Object, known: Object | None) -> bool:
    """Whether ``body`` was seen later. Versions of one object can be compared since Kubernetes
    1.35; an object that was made anew has another uid.
    """
    if known is None:
        return True
    new, old = body["metadata"], known["metadata"]
    if new.get("uid") != old.get("uid"):
        return True
    try:
        return int(new["resourceVersion"]) > int(old["resourceVersion"])
    except (KeyError, ValueError):
        return True


def _shared(value: Any) -> Any:
    """The same, with one copy of each word for all bodies. Services resemble each other: it halves
    the memory that they take.
    """
    if isinstance(value, dict):
        return {intern(name): _shared(each) for name, each in value.items()} if value else NOTHING
    if isinstance(value, list):
        return [_shared(each) for each in value]
    return intern(value) if type(value) is str else value


def _slim(kind: Kind, body: Object) -> Object:
    metadata = dict(body["metadata"])
    if kind is POD:
        kept = {name: metadata[name] for name in POD_METADATA if metadata.get(name)}
        kept["resourceVersion"] = metadata.get("resourceVersion", "")
        return {"metadata": kept, "status": body.get("status") or {}}
    managers = metadata.get("managedFields") or ()
    ours = [each for each in managers if each.get("manager") == names.FIELD_MANAGER]
    metadata["managedFields"] = ours
    if kind is SERVICE:
        del metadata["managedFields"]
        metadata.pop("annotations", None)
    # Items of a list come without these.
    return {**body, "apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
