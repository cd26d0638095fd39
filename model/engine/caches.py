"""Where compiled code is kept (``--cache-dir``): a second start finds what the first compiled."""

import os
import tempfile
from pathlib import Path
from typing import Final

from ..errors import InvalidSettings

# Read by torch's compiler and by Triton when they are imported. What the user has set stays.
FOLDERS: Final = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}


def prepare_cache(folder: Path | None) -> None:
    """Make the folder, and write to it once.

    Raises:
        InvalidSettings: it cannot be made, or not be written.
    """
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"kiln")
    except OSError as error:
        raise InvalidSettings(
            f"cache_dir: {str(folder)!r} cannot be written ({error.strerror}); mount a volume that "
            "this user may write, or leave --cache-dir out"
        ) from error


def point_compilers_to(folder: Path | None) -> None:
    """Engine's side, before torch is imported."""
    if folder is None:
        return
    for variable, name in FOLDERS.items():
        os.environ.setdefault(variable, str(folder.absolute() / name))
