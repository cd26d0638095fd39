"""W10 to W14: which requests make a model warm."""

from typing import Any

import numpy as np
import pytest

from model.contract.sampling import Task
from model.errors import InvalidRequest
from model.pipelines.requests import Ask, build_request
from model.settings import Settings
from model.warmup.plan import PLACEHOLDER, build_plan, first_request_copy, warmup_steps


def test_w10_w11_it_warms_the_models_own_task_at_its_own_size_in_full(
    described: Any, settings: Settings
) -> None:
    (planned,) = build_plan(described(width=1344, height=768, guidance_scale=5.0), settings)
    assert planned.task is Task.TEXT_TO_IMAGE
    assert (planned.sampling.width, planned.sampling.height) == (1344, 768)
    assert planned.sampling.guidance_scale == 5.0
    assert planned.warmup
    assert planned.deadline is None, "the runner sets one for each pass (W23)"


def test_w11_a_default_size_that_is_not_aligned_is_refused(
    described: Any, settings: Settings
) -> None:
    with pytest.raises(InvalidRequest, match="width: must be a multiple of 16"):
        build_plan(described(width=100), settings)


@pytest.mark.parametrize(
    ("default", "asked", "steps"),
    [(50, 2, 2), (50, 1, 2), (50, 10, 10), (50, 400, 50), (1, 1, 1), (1, 10, 1), (2, 1, 2)],
)
def test_w12_steps_are_the_default_or_at_least_two(
    described: Any, default: int, asked: int, steps: int
) -> None:
    settings = Settings(warmup_steps=asked)
    assert warmup_steps(default, settings) == steps
    (planned,) = build_plan(described(num_inference_steps=default), settings)
    assert planned.sampling.num_inference_steps == steps


@pytest.mark.parametrize("task", sorted(set(Task) - {Task.VIDEO_TO_VIDEO}))
def test_w13_the_prompt_is_a_placeholder_and_never_empty(
    described: Any, settings: Settings, task: Task
) -> None:
    (planned,) = build_plan(described(task), settings)
    assert planned.prompts == (PLACEHOLDER,)
    assert PLACEHOLDER.strip()


@pytest.mark.parametrize(
    ("defaults", "embedded", "negatives", "cfg"),
    [
        ({"guidance_scale": 7.5, "negative_prompt": "ugly"}, False, ("ugly",), True),
        ({"guidance_scale": 7.5, "negative_prompt": ""}, False, ("",), True),
        ({"guidance_scale": 7.5}, False, None, True),
        ({"guidance_scale": 1.0, "negative_prompt": ""}, False, ("",), False),
        ({"guidance_scale": 0.0}, False, None, False),
        ({}, False, None, False),
        ({"true_cfg_scale": 4.0, "negative_prompt": " "}, False, (" ",), True),
        ({"true_cfg_scale": 4.0}, False, None, False),
        ({"guidance_scale": 3.5}, True, None, False),
    ],
)
def test_w14_guidance_and_the_negative_prompt_are_the_models_own(
    described: Any,
    settings: Settings,
    defaults: dict[str, Any],
    embedded: bool,
    negatives: tuple[str, ...] | None,
    cfg: bool,
) -> None:
    """So the default negative prompt's embedding is computed before the first user."""
    model = described(guidance_embedded=embedded, **defaults)
    (planned,) = build_plan(model, settings)
    assert planned.negative_prompts == negatives
    assert planned.cfg is cfg


def test_w20_a_user_who_says_nothing_gets_the_shape_that_was_warmed(
    described: Any, settings: Settings
) -> None:
    model = described(guidance_scale=7.5, negative_prompt="ugly")
    (planned,) = build_plan(model, settings)
    asked = build_request(Ask(prompts=("a fox",)), model, settings)
    assert planned.shape == asked.shape


@pytest.mark.parametrize("task", [Task.IMAGE_TO_IMAGE, Task.INPAINTING])
def test_a_model_that_needs_a_picture_is_warmed_with_one(
    described: Any, settings: Settings, task: Task
) -> None:
    (planned,) = build_plan(described(task), settings)
    assert planned.task is task
    (picture,) = planned.images
    assert picture.shape == (64, 128, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 0, "a flat picture has no deviation to divide by"
    assert [each.shape for each in planned.masks] == [(64, 128)] * (task is Task.INPAINTING)


def test_w06_the_first_requests_copy_is_bounded_and_its_own(
    described: Any, settings: Settings
) -> None:
    asked = build_request(
        Ask(prompts=("a fox",), id="mine", parameters={"num_inference_steps": 30, "seed": 3}),
        described(),
        settings,
    )
    copy = first_request_copy(asked, settings)
    assert copy.id != asked.id
    assert copy.warmup
    assert not asked.warmup
    assert copy.sampling.num_inference_steps == 2
    assert asked.sampling.num_inference_steps == 30, "the original is not touched"
    assert copy.shape == asked.shape
    assert copy.prompts == asked.prompts
    assert copy.deadline == asked.deadline, "it may not outlive the request that it precedes"
