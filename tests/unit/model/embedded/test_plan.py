"""Captions say what the renderer draws, and held-out pairs stay out of training."""

import numpy as np
import pytest

from model.embedded.captions import Wording, caption
from model.embedded.objects import DrawnObject
from model.embedded.palette import (
    BACKGROUND_NAMES,
    OBJECT_HUES,
    SIZES,
    STYLES,
    UNNAMED_BACKGROUND,
    is_held_out,
)
from model.embedded.plan import UNCHANGED_HUE, Mix, random_plan
from model.embedded.questions import make_questions

SPOKEN = Mix(silent=0.0)


def _words(sentence: str) -> list[str]:
    return sentence.replace(",", " ").split()


@pytest.mark.parametrize(
    ("wording", "expected"),
    [
        (Wording(), "an owl, flat style on a red background"),
        (Wording(style=0.0), "a flat owl on a red background"),
        (Wording(article=0.0, background=0.8), "owl, flat style, red background"),
        (Wording(background=0.95), "an owl, flat style on red"),
    ],
)
def test_wordings_of_one_caption(wording: Wording, expected: str) -> None:
    assert caption("owl", style="flat", background="red", wording=wording) == expected


def test_a_caption_leaves_out_what_is_not_named() -> None:
    assert caption("owl") == "an owl"


def test_held_out_pairs_never_appear(objects: list[DrawnObject]) -> None:
    plan = random_plan(objects, 4000, np.random.default_rng(0))
    pairs = set(zip(plan.objects.tolist(), plan.backgrounds.tolist(), strict=True))
    assert not [pair for pair in pairs if is_held_out(*pair)]
    assert [b for b in range(len(BACKGROUND_NAMES)) if is_held_out(1, b)]


def test_scores_ask_for_held_out_pairs() -> None:
    asked = make_questions(40).plain
    assert sum(each.unseen for each in asked) >= 15
    assert all(is_held_out(each.number, each.background) == each.unseen for each in asked)


def test_captions_name_background_style_size_and_colour(objects: list[DrawnObject]) -> None:
    plan = random_plan(objects, 500, np.random.default_rng(1), SPOKEN)
    hues = {hue: name for name, hue in OBJECT_HUES.items()}
    for row, sentence in enumerate(plan.captions):
        words = _words(sentence)
        background = BACKGROUND_NAMES[plan.backgrounds[row]]
        assert background in words or plan.backgrounds[row] == UNNAMED_BACKGROUND
        assert plan.styles[row] == 0 or STYLES[plan.styles[row]] in words
        nearest = min(SIZES, key=lambda name: abs(SIZES[name] - plan.scales[row]))
        assert [word for word in SIZES if word in words] == ([nearest] if nearest else [])
        assert plan.hues[row] == UNCHANGED_HUE or hues[plan.hues[row]] in words


def test_only_objects_of_one_hue_are_recoloured(objects: list[DrawnObject]) -> None:
    plan = random_plan(objects, 500, np.random.default_rng(2))
    assert (plan.hues[plan.objects == 0] >= 0).any()
    assert not (plan.hues[plan.objects == 1] >= 0).any()


def test_a_seed_gives_the_same_plan(objects: list[DrawnObject]) -> None:
    first, second = (random_plan(objects, 50, np.random.default_rng(3)) for _ in range(2))
    assert first.captions == second.captions
    assert np.array_equal(first.colours, second.colours)
