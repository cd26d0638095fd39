"""The small text-to-image model that ships with Kiln, so that the first command draws a picture
with no network.

This package file imports no torch: a command line that only lists objects must start at once.
"""

from pathlib import Path

from .catalogue import (
    Catalogue,
    CatalogueObject,
    catalogue,
    list_objects,
    print_catalogue,
)

PIPELINE_FOLDER = Path(__file__).parent / "pipeline"
GENERATION_DEFAULTS_FILE = PIPELINE_FOLDER / "generation_config.json"

__all__ = [
    "GENERATION_DEFAULTS_FILE",
    "PIPELINE_FOLDER",
    "Catalogue",
    "CatalogueObject",
    "catalogue",
    "list_objects",
    "print_catalogue",
]
