"""W25: a model whose weights are broken draws no picture, and is told from one that works. The
embedded model's folder is copied and really broken.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Task
from model.embedded import PIPELINE_FOLDER
from model.errors import GenerationFailed
from model.pipelines.calls import Drawn, run
from model.pipelines.loader import load
from model.pipelines.location import locate

REQUEST = GenerationRequest(
    id="a",
    task=Task.TEXT_TO_IMAGE,
    prompts=("a fox",),
    sampling=Sampling(width=32, height=32, num_inference_steps=2, guidance_scale=2.0),
    seeds=(7,),
    negative_prompts=("",),
    cfg=True,
)
WEIGHTS = "diffusion_pytorch_model.safetensors"
Break = Callable[[dict[str, torch.Tensor]], None]


def drawn(folder: Path, part: str, break_it: Break, request: GenerationRequest) -> Drawn:
    """What a copy of the embedded model draws whose ``part`` was changed."""
    copy = Path(shutil.copytree(PIPELINE_FOLDER, folder / "broken"))
    weights: dict[str, Any] = load_file(copy / part / WEIGHTS)
    break_it(weights)
    save_file(weights, copy / part / WEIGHTS)
    pipelines = load(locate(str(copy)), "cpu", "auto").pipelines
    return run(pipelines[request.task], request, lambda step, of: None)


def nan(weights: dict[str, torch.Tensor]) -> None:
    weights["conv_out.weight" if "conv_out.weight" in weights else "decoder.conv_out.weight"][
        0, 0
    ] = torch.nan


def dark(weights: dict[str, torch.Tensor]) -> None:
    weights["decoder.conv_out.bias"].fill_(-100.0)


@pytest.mark.parametrize(("part", "what"), [("vae", "pixels"), ("unet", "latents")])
def test_w25_weights_that_give_nan_are_a_failure_for_everybody(
    tmp_path: Path, part: str, what: str
) -> None:
    with pytest.raises(GenerationFailed, match=f"the {what} hold NaN or infinity"):
        drawn(tmp_path, part, nan, REQUEST)


def test_w25_weights_that_give_black_fail_in_warmup_only(tmp_path: Path) -> None:
    with pytest.raises(GenerationFailed, match="all black"):
        drawn(tmp_path / "warmup", "vae", dark, replace(REQUEST, warmup=True))
    assert not drawn(tmp_path / "user", "vae", dark, REQUEST).pixels.any()
