"""Described models to plan for, and settings with the defaults."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from model.contract.sampling import ModelDescription, SamplingDefaults, Task
from model.settings import Settings

ACCEPTED = frozenset(
    {"negative_prompt", "width", "height", "num_inference_steps", "guidance_scale",
     "true_cfg_scale", "num_images_per_prompt", "strength", "num_frames"}
)  # fmt: skip


def describe(*tasks: Task, **given: Any) -> ModelDescription:
    """``given``: fields of the description, or of its sampling defaults."""
    known = {"width": 128, "height": 64, "num_inference_steps": 8}
    facts = {name: given.pop(name) for name in list(given) if name in ModelDescription.__slots__}
    defaults = {**known, **given}
    return replace(
        ModelDescription(
            pipeline="SomePipeline",
            family="some",
            tasks=tasks or (Task.TEXT_TO_IMAGE,),
            defaults=SamplingDefaults(**defaults),
            alignment=16,
            accepted=dict.fromkeys(Task, ACCEPTED),
            cancellable=True,
            device="cpu",
            dtype="float32",
            revision="abc",
        ),
        **facts,
    )


@pytest.fixture
def described() -> Callable[..., ModelDescription]:
    """Makes a model of the given tasks, facts and sampling defaults."""
    return describe


@pytest.fixture
def settings() -> Settings:
    return Settings()
