"""Runs inside a container of one of our images, and prints what it finds there of the packages that
its arguments name, as JSON."""

import importlib
import json
import os
import sys
from pathlib import Path

NAMES = sys.argv[1:]
PLACES = ("/", "/opt/kiln/code", "/etc")


def refused(name: str) -> bool:
    """Whether the package cannot be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        return True
    return False


def unwritable(folder: str) -> bool:
    """Whether a file cannot be made there."""
    try:
        Path(folder, "file").touch()
    except OSError:
        return True
    return False


# By name, wherever it lies: what cannot be imported could still weigh.
found = {name for _, folders, files in os.walk("/") for name in (*folders, *files) if name in NAMES}
said = {
    "user": os.getuid(),
    "found": sorted(found),
    "refused": [name for name in NAMES if refused(name)],
    "unwritable": [place for place in PLACES if unwritable(place)],
}
json.dump(said, sys.stdout)
