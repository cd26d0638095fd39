"""The examples of docs/openai.md, as a reader would copy them, one after another."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.support.requests import opened
from tests.integration.support.server import ServerProcess

PAGE = Path(__file__).parents[3] / "docs/openai.md"
BLOCKS = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}


@pytest.fixture(scope="module")
def folder(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every example has been run."""
    found = tmp_path_factory.mktemp("reader")
    blocks = BLOCKS.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 4
    for language, code in blocks:
        there = code.replace("localhost:8080", f"127.0.0.1:{server.http_port}")
        assert there != code
        subprocess.run([*RUN[language], there], cwd=found, check=True, timeout=60)
    return found


@pytest.mark.parametrize(
    "name",
    ["fox.png", "fox-0.png", "fox-1.png", "blue-fox.png", "fox-partial-0.png", "fox-partial-2.png"],
)
def test_each_example_leaves_its_picture(folder: Path, name: str) -> None:
    assert opened((folder / name).read_bytes()).size == (128, 128)


def test_curl_and_the_sdk_draw_the_same_fox_only_for_the_same_request(folder: Path) -> None:
    pictures = {each.name: each.read_bytes() for each in folder.glob("*.png")}
    assert pictures.pop("fox-streamed.png") == pictures["fox.png"]
    assert len(set(pictures.values())) == len(pictures) == 7
