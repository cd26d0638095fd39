"""Config files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.model.configuration.support import ConfigFile


@pytest.fixture
def config_file(tmp_path: Path) -> ConfigFile:
    """Write a config file, as YAML, as JSON, or as the given text."""

    def write(content: Mapping[str, Any] | str, name: str = "kiln.yaml") -> str:
        path = tmp_path / name
        if not isinstance(content, str):
            content = json.dumps(content) if name.endswith("json") else yaml.safe_dump(content)
        path.write_text(content, encoding="utf-8")
        return str(path)

    return write
