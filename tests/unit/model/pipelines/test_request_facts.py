"""A request as JSON and pictures, and what comes back of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Task
from model.errors import InvalidRequest
from model.pipelines.request_facts import facts_of, pictures_of, request_of, without_content

PICTURE = np.full((4, 6, 3), 7, np.uint8)
MASK = np.full((4, 6), 255, np.uint8)
REQUEST = GenerationRequest(
    "a",
    Task.INPAINTING,
    ("a fox", "ein Füchslein"),
    Sampling(64, 32, 4, guidance_scale=2.5),
    seeds=(1, 2**63 - 1),
    negative_prompts=("ugly", "blurred"),
    images=(PICTURE, PICTURE),
    masks=(MASK, MASK),
    cfg=True,
)


def same(one: GenerationRequest, other: GenerationRequest) -> bool:
    shown = pictures_of(one), pictures_of(other)
    bare = [replace(each, images=(), masks=()) for each in (one, other)]
    return (
        bare[0] == bare[1]
        and shown[0].keys() == shown[1].keys()
        and all(np.array_equal(each, shown[1][name]) for name, each in shown[0].items())
    )


def test_w53_a_request_crosses_whole() -> None:
    facts = json.loads(json.dumps(facts_of(REQUEST)))
    found = request_of("a", facts, pictures_of(REQUEST))
    assert same(found, REQUEST)
    late = request_of("a", facts, pictures_of(REQUEST), deadline=3.0, warmup=True)
    assert (late.deadline, late.warmup) == (3.0, True)


def test_w53_later_stages_get_blank_texts_and_pictures_and_the_mask() -> None:
    blank = without_content(REQUEST)
    found = request_of("a", facts_of(blank), {"masks.0": MASK, "masks.1": MASK})
    assert found.prompts == found.negative_prompts == (" ", " ")
    assert [each.shape for each in found.images] == [PICTURE.shape] * 2
    assert not any(each.any() for each in found.images)
    assert np.array_equal(found.masks[0], MASK)
    assert found.shape == REQUEST.shape
    assert found.seeds == REQUEST.seeds


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.pop("task"),
        lambda facts: facts.update(task="to-music"),
        lambda facts: facts.update(prompts=[1]),
        lambda facts: facts.update(seeds="x"),
        lambda facts: facts["sampling"].update(eta=1),
        lambda facts: facts["sampling"].pop("width"),
        lambda facts: facts["pictures"].update(images=[[5, 6, 3]]),
        lambda facts: facts["pictures"].update(videos=[[2**20, 2**20, 3]]),
        lambda facts: facts.update(pictures=None),
    ],
)
def test_w53_facts_of_no_request_are_refused(change: Callable[[Any], Any]) -> None:
    facts = facts_of(REQUEST)
    change(facts)
    with pytest.raises(InvalidRequest, match="facts: are not those of a request"):
        request_of("a", facts, pictures_of(REQUEST))
