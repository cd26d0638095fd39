"""Where programs and running clusters lie: below the user's cache, never in the project.

``cluster/FAMILY-HASH``       built programs, immutable
``cluster/running/NAME``      one folder a running cluster; its end removes it
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def cache_folder() -> Path:
    """Made on demand; only its user may look inside, for clusters keep keys there."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "kiln/cluster"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def running_folder() -> Path:
    """The parent of the folders of running clusters."""
    folder = cache_folder() / "running"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Wait until no other process holds the lock on ``file``, and hold it.

    The system frees it when its holder ends, however that comes.
    """
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
