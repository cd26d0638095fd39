"""W43: text encoders of every kind are remembered, and no pixel changes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.pipelines.calls import run
from model.pipelines.loader import load
from model.pipelines.location import locate
from model.pipelines.prompt_cache import PromptCache
from model.pipelines.requests import Ask, build_request
from model.settings import Settings
from tests.integration.families.test_families import FAMILIES, SIDE, STEPS, T2I, T2V


# Two CLIPs; T5 besides; Qwen3; a Qwen that sees; UMT5. The others have encoders of these kinds.
@pytest.mark.parametrize("name", ["SDXL", "SD3", "FLUX.2 klein", "Qwen-Image", "Wan T2V"])
def test_w43_a_prompt_is_encoded_once_and_no_pixel_changes(
    saved: Callable[..., Path], name: str
) -> None:
    model = load(locate(str(saved(FAMILIES[name].make))), "cpu", "auto")
    task = T2V if T2V in model.pipelines else T2I
    knobs = {"width": SIDE, "height": SIDE, "seed": 7, "num_inference_steps": STEPS}
    # FLUX.2 has one of its own; SDXL encodes none where none is given.
    takes_negative = "negative_prompt" in model.description.accepted[task]
    negative = ("ugly",) if takes_negative else None
    ask = Ask(("a red fox",), negative_prompts=negative, parameters=knobs)
    request = build_request(ask, model.description, Settings())
    other = replace(request, prompts=("a blue ball",))
    plain = [run(model.pipelines[task], each, lambda *_: None).pixels for each in (request, other)]

    cache = PromptCache(2**28)
    cache.wrap(model.pipelines.values())
    found = []
    for each, expected in zip((request, other, request), (*plain, plain[0]), strict=True):
        cache.begin(each)
        assert np.array_equal(run(model.pipelines[task], each, lambda *_: None).pixels, expected)
        found.append(cache.use)
    first, second, again = found
    assert first.misses > 0
    assert (again.misses, again.hits) == (0, first.misses + first.hits), "all of it is known"
    assert second.misses > 0
    assert second.hits > 0, "the negative prompt is known"
    assert again.bytes == second.bytes > 0
