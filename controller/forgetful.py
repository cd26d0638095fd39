"""What kopf would remember of each object, left out: we keep nothing on objects, and compare
nothing with what was there before. kopf's own storages copy every body several times for each
event, to find out what nobody asks.
"""

from typing import Any

import kopf


class NoDifferences(kopf.DiffBaseStorage):
    """Every object is as it always was."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return


class NoProgress(kopf.ProgressStorage):
    """No handler has more than one attempt."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return

    def purge(self, **_: Any) -> None:
        return

    def touch(self, **_: Any) -> None:
        return

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
