"""Which partial images are refused before anything is drawn."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Task
from model.errors import InvalidRequest
from model.pipelines.requests import Ask
from model.serving.openai.partial import with_previews
from model.serving.openai.reading import Wish
from model.settings import Settings

WANTED = GenerationRequest(
    id="a",
    task=Task.TEXT_TO_IMAGE,
    prompts=("a fox",),
    sampling=Sampling(width=64, height=64, num_inference_steps=4),
    seeds=(7,),
)
WISH = Wish(Ask(("a fox",)), "png", None, "auto", "", (), stream=True, partial_images=2)


def serving_of(pipeline: str = "FluxPipeline", cancellable: bool = True, **settings: Any) -> Any:
    description = SimpleNamespace(pipeline=pipeline, cancellable=cancellable)
    return SimpleNamespace(
        settings=Settings(**settings), role=SimpleNamespace(description=description)
    )


def test_as_many_as_are_asked_for_are_shown() -> None:
    assert with_previews(serving_of(), WANTED, WISH).previews == 2
    none = replace(WISH, partial_images=0)
    assert with_previews(serving_of(role="router"), WANTED, none).previews == 0


@pytest.mark.parametrize(
    ("serving", "problem"),
    [
        (serving_of(max_partial_images=1), "must be at most 1 on this server"),
        (serving_of(role="router"), "must be 0 here"),
        (serving_of("SomePipeline"), "must be 0 for this model: SomePipeline shows nothing"),
        (serving_of(cancellable=False), "must be 0 for this model"),
    ],
    ids=["more than allowed", "a router", "unknown latents", "no steps to see"],
)
def test_what_cannot_be_shown_is_refused_by_name(serving: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=f"partial_images: {problem}"):
        with_previews(serving, WANTED, WISH)


@pytest.mark.parametrize(("strength", "possible"), [(0.75, 2), (0.5, 1)])
def test_strength_takes_steps_away(strength: float, possible: int) -> None:
    redrawn = replace(
        WANTED, images=("a picture",), sampling=replace(WANTED.sampling, strength=strength)
    )
    most = replace(WISH, partial_images=possible)
    assert with_previews(serving_of(), redrawn, most).previews == possible
    with pytest.raises(InvalidRequest, match=f"this picture has {possible + 1}"):
        with_previews(serving_of(), redrawn, replace(WISH, partial_images=possible + 1))
