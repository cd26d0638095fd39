"""W42: LoRA adapters beside the base weights, with a real one for the embedded model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model.contract.adapter import Adapter
from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Task
from model.errors import ModelNotLoadable
from model.pipelines.adapters import activate, load_adapters
from model.pipelines.calls import run
from model.pipelines.loader import load
from model.pipelines.location import locate
from tests.integration.support.lora import save_lora

REQUEST = GenerationRequest(
    id="a",
    task=Task.TEXT_TO_IMAGE,
    prompts=("a red fox",),
    sampling=Sampling(width=32, height=32, num_inference_steps=2, guidance_scale=2.0),
    seeds=(1,),
    negative_prompts=("",),
    cfg=True,
)


@pytest.fixture
def pipelines() -> dict[Task, Any]:
    return load(locate("embedded://"), "cpu", "auto").pipelines


def drawn(pipelines: dict[Task, Any], request: GenerationRequest = REQUEST) -> Any:
    return run(pipelines[request.task], request, lambda step, of: None).pixels


def test_w42_an_adapter_acts_while_it_is_chosen_and_leaves_nothing_behind(
    pipelines: dict[Task, Any], tmp_path: Path
) -> None:
    base = drawn(pipelines)
    pipeline = pipelines[Task.TEXT_TO_IMAGE]
    load_adapters(pipeline, {"one": save_lora(tmp_path, 1), "two": save_lora(tmp_path, 2)})
    assert np.array_equal(drawn(pipelines), base), "loaded, and not active"
    seen = []
    for adapter in (Adapter("one"), Adapter("two"), Adapter("one", 0.5)):
        activate(pipeline, adapter)
        seen.append(drawn(pipelines))
    activate(pipeline, Adapter("one"))
    assert np.array_equal(drawn(pipelines), seen[0]), "whatever was chosen in between"
    activate(pipeline, None)
    assert np.array_equal(drawn(pipelines), base), "bit for bit"
    for place, each in enumerate(seen):
        assert not np.array_equal(each, base)
        assert not any(np.array_equal(each, other) for other in seen[:place])


def test_w42_the_other_tasks_have_the_same_adapter(
    pipelines: dict[Task, Any], tmp_path: Path
) -> None:
    black = np.zeros((32, 32, 3), np.uint8)
    edit = replace(
        REQUEST,
        task=Task.IMAGE_TO_IMAGE,
        images=(black,),
        sampling=replace(REQUEST.sampling, num_inference_steps=4, strength=0.75),
    )
    base = drawn(pipelines, edit)
    load_adapters(pipelines[Task.TEXT_TO_IMAGE], {"one": save_lora(tmp_path)})
    activate(pipelines[Task.TEXT_TO_IMAGE], Adapter("one"))
    assert not np.array_equal(drawn(pipelines, edit), base)


def test_w42_a_file_that_is_no_adapter_of_this_model_is_refused_by_name(
    pipelines: dict[Task, Any], tmp_path: Path
) -> None:
    pipeline = pipelines[Task.TEXT_TO_IMAGE]
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not weights")
    with pytest.raises(ModelNotLoadable, match=r"bad \(broken\.safetensors\) cannot be loaded"):
        load_adapters(pipeline, {"bad": broken})
    foreign = tmp_path / "foreign.safetensors"
    weights = {"some.other.model.lora_A.weight": torch.zeros(2, 2)}
    save_file(weights, foreign)
    with pytest.raises(ModelNotLoadable, match=r"far \(foreign\.safetensors\)"):
        load_adapters(pipeline, {"far": foreign})
    with pytest.raises(ModelNotLoadable, match="int takes no LoRA"):
        load_adapters(1, {"far": foreign})


def test_w42_an_adapter_of_another_size_is_refused(
    pipelines: dict[Task, Any], tmp_path: Path
) -> None:
    file = save_lora(tmp_path)
    weights = {name: torch.zeros(3, 5) for name in load_file(file)}
    save_file(weights, file)
    with pytest.raises(ModelNotLoadable, match="wide"):
        load_adapters(pipelines[Task.TEXT_TO_IMAGE], {"wide": file})
