"""DiffusionServices in YAML files, for the commands that need no cluster."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .api import names
from .errors import BadInput


@dataclass(frozen=True, slots=True)
class Document:
    """``place``: the file and the number of the document in it."""

    place: str
    content: Any

    @property
    def is_service(self) -> bool:
        """Anything that might be meant as one: another kind is somebody else's."""
        if not isinstance(self.content, dict):
            return True
        group = str(self.content.get("apiVersion", "")).partition("/")[0]
        return self.content.get("kind") == names.KIND or group == names.GROUP


def read_documents(files: list[str]) -> Iterator[Document]:
    """Every document of ``files``; ``-`` is standard input.

    Raises:
        BadInput: a file that is not there, or not YAML.
    """
    for name in files:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
            documents = list(yaml.safe_load_all(text))
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{name}: cannot be read: {error}") from error
        except yaml.YAMLError as error:
            raise BadInput(f"{name}: is not YAML: {error}") from error
        for number, content in enumerate(documents, start=1):
            if content is not None:
                yield Document(f"{name}[{number}]" if len(documents) > 1 else name, content)
