"""Described models to plan for, and settings with the defaults."""

from collections.abc import Callable
from typing import Any

import pytest

from model.contract.sampling import ModelDescription, SamplingDefaults, Task
from model.settings import Settings

ACCEPTED = frozenset(
    {"negative_prompt", "width", "height", "num_inference_steps", "guidance_scale",
     "true_cfg_scale", "num_images_per_prompt", "strength"}
)  # fmt: skip


def describe(*tasks: Task, guidance_embedded: bool = False, **defaults: Any) -> ModelDescription:
    known = {"width": 128, "height": 64, "num_inference_steps": 8, **defaults}
    return ModelDescription(
        pipeline="SomePipeline",
        family="some",
        tasks=tasks or (Task.TEXT_TO_IMAGE,),
        defaults=SamplingDefaults(**known),
        alignment=16,
        accepted=dict.fromkeys(Task, ACCEPTED),
        cancellable=True,
        device="cpu",
        dtype="float32",
        revision="abc",
        guidance_embedded=guidance_embedded,
    )


@pytest.fixture
def described() -> Callable[..., ModelDescription]:
    """Makes a model of the given tasks and defaults."""
    return describe


@pytest.fixture
def settings() -> Settings:
    return Settings()
