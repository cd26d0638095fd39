"""What a folder was fetched from: a file in the folder itself, written last, so that a folder with
a record is whole."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from .listing import RemoteFile

# Beside the model's own folders; it begins with a dot, and diffusers does not look at it.
PLACE: Final = ".kiln-fetch"
NAME: Final = "record.json"


@dataclass(frozen=True, slots=True)
class Record:
    """``files``: size and identity by path."""

    source: str
    revision: str
    files: dict[str, tuple[int, str]]

    @classmethod
    def of(cls, source: str, revision: str, files: Iterable[RemoteFile]) -> Self:
        return cls(source, revision, {each.path: (each.size, each.identity) for each in files})

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """None where the folder has none that can be understood."""
        try:
            found = json.loads((folder / PLACE / NAME).read_text(encoding="utf-8"))
            files = {path: (int(size), str(name)) for path, (size, name) in found["files"].items()}
            return cls(str(found["source"]), str(found["revision"]), files)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, folder: Path) -> None:
        """At once or not at all."""
        text = json.dumps(
            {"source": self.source, "revision": self.revision, "files": self.files},
            indent=2,
            sort_keys=True,
        )
        place = folder / PLACE
        fresh = place / f"{NAME}.new"
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(place / NAME)

    def whole(self, folder: Path) -> bool:
        """Whether every file is there, in its size."""
        return all(has(folder, path, size) for path, (size, _) in self.files.items())

    def knows(self, file: RemoteFile) -> bool:
        return self.files.get(file.path) == (file.size, file.identity)


def has(folder: Path, path: str, size: int) -> bool:
    """Whether the file is there, in its size."""
    try:
        return (folder / path).stat().st_size == size
    except OSError:
        return False
