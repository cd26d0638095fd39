"""``python -m model plan``: what would be warmed up, told without weights and without torch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model.__main__ import main
from model.embedded import PIPELINE_FOLDER

HEAVY = ("torch", "diffusers", "transformers", "kserve")


@pytest.fixture
def without_weights(tmp_path: Path) -> Path:
    """The embedded model's folder as a download that has not begun on the weights."""
    ignored = shutil.ignore_patterns("*.safetensors")
    return Path(shutil.copytree(PIPELINE_FOLDER, tmp_path / "model", ignore=ignored))


def plan(capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    assert main(["plan", "--json", *flags]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_plan_is_told_without_weights(
    capsys: pytest.CaptureFixture[str], without_weights: Path
) -> None:
    found = plan(capsys, "--model", str(without_weights))
    assert [each["shape"] for each in found["shapes"]] == ["text-to-image 128x128 batch 1 cfg"]
    assert found["shapes"][0]["steps"] == 2
    assert found["defaults"]["width"] == {"value": 128, "source": "model folder"}
    assert found["only_after_loading"]


def test_the_plan_imports_no_torch() -> None:
    program = (
        "import sys\nfrom model.__main__ import main\nassert main(['plan', '--json']) == 0\n"
        f"print([each for each in {HEAVY} if each in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"


def test_w18_the_plan_follows_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(
        capsys,
        *("--warmup-resolutions", "64x64,128x128", "--warmup-batch-sizes", "1,2"),
        *("--warmup-tasks", "text-to-image,inpainting", "--warmup-steps", "4"),
    )
    assert len(found["shapes"]) == 8
    assert found["shapes"][0]["shape"] == "text-to-image 128x128 batch 1 cfg"
    assert {each["images_in"] for each in found["shapes"]} == {0, 1, 2}


def test_the_plan_for_people_names_shapes_sources_and_what_is_not_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan"]) == 0
    text = capsys.readouterr().out
    for words in ("text-to-image 128x128", "model folder", "Known only once", "model warmup"):
        assert words in text


@pytest.mark.parametrize("mode", ["off", "request"])
def test_without_server_warmup_there_is_nothing_to_plan(
    capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    assert main(["plan", "--warmup-mode", mode]) == 0
    assert f"warmup_mode is {mode}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "status", "problem"),
    [
        (["--warmup-resolutions", "100x64"], 2, "warmup_resolutions: 100x64"),
        (["--warmup-num-frames", "17"], 2, "warmup_num_frames: StableDiffusionPipeline draws"),
        (["--model", "/nowhere"], 4, "there is no such folder"),
    ],
)
def test_w04_what_does_not_fit_is_told_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], flags: list[str], status: int, problem: str
) -> None:
    assert main(["plan", *flags]) == status
    assert problem in capsys.readouterr().err
