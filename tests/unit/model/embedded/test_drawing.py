"""Pictures follow their prompt and seed, in any batch."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.embedded import PIPELINE_FOLDER
from model.embedded.drawing import draw, generation_defaults
from model.embedded.judge import border_colour, judge, pixels_of
from model.embedded.questions import Question, make_questions
from model.embedded.score import measure

SETTINGS = {
    key: generation_defaults(PIPELINE_FOLDER)[key]
    for key in ("num_inference_steps", "guidance_scale")
}
PROMPTS = ["a fox", "a small car on a red background"]


def test_a_seed_gives_the_same_bytes(pipeline: Any) -> None:
    first, second = (draw(pipeline, PROMPTS, seed=5, **SETTINGS) for _ in range(2))
    assert [each.tobytes() for each in first] == [each.tobytes() for each in second]


def test_a_batch_does_not_change_a_picture(pipeline: Any) -> None:
    """Sums in another order may round a channel of a pixel to the next level, never more."""
    together = draw(pipeline, PROMPTS, seed=5, **SETTINGS)
    for place, prompt in enumerate(PROMPTS):
        alone = draw(pipeline, [prompt], seed=5 + place, **SETTINGS)[0]
        difference = np.abs(np.asarray(alone, int) - np.asarray(together[place], int))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.001


def test_another_seed_gives_another_picture(pipeline: Any) -> None:
    first, second = (draw(pipeline, PROMPTS[:1], seed=seed, **SETTINGS)[0] for seed in (1, 2))
    assert first.tobytes() != second.tobytes()


def test_a_sample_of_the_scores_passes_the_bar(pipeline: Any) -> None:
    scores = measure(pipeline, make_questions(16), **SETTINGS)
    assert not scores.below_bar(), scores.values


def test_the_judge_rejects_another_object(pipeline: Any) -> None:
    asked = make_questions(2).plain
    picture = draw(pipeline, [asked[0].prompt], seed=0, **SETTINGS)[0]
    assert judge(picture, asked[0]).name
    assert not judge(picture, asked[1]).name


@pytest.mark.parametrize("colour", [(14, 14, 14), (250, 155, 198)])
def test_the_judge_reads_a_plain_border(colour: tuple[int, int, int]) -> None:
    picture = Image.new("RGB", (128, 128), colour)
    found = border_colour(pixels_of(picture)) * 255
    assert found.round().astype(int).tolist() == list(colour)


def test_an_empty_picture_shows_nothing_small() -> None:
    question = Question("a small fox", number=0, background=0, style=0, small=True)
    assert not judge(Image.new("RGB", (128, 128), "white"), question).small
