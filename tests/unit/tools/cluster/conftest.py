"""One cluster's files and ports, with nothing running."""

from pathlib import Path

import pytest

from tools.cluster.layout import Layout, free_ports


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    folder = tmp_path / "cluster"
    folder.mkdir()
    return Layout(folder, free_ports(), {"kserve": tmp_path / "kserve"})
