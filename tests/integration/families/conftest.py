"""Folders of tiny pipelines, saved as ``save_pretrained`` does it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SIDE = 64
FRAMES = 9


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a pipeline and saves it under a name. It draws 64x64 pixels, and 9 frames, by default:
    those of real models are too large for a test."""

    def save(make: Callable[[], Any], name: str = "tiny") -> Path:
        import torch

        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp("families") / name
        make().save_pretrained(folder)
        about = json.loads((folder / "model_index.json").read_text())
        video = about["_class_name"].startswith(("Wan", "LTX", "CogVideoX"))
        defaults = {"width": SIDE, "height": SIDE, **({"num_frames": FRAMES} if video else {})}
        (folder / "generation_config.json").write_text(json.dumps(defaults))
        return folder

    return save
