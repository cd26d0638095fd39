"""What a body of the videos API asks for."""

from dataclasses import replace
from typing import Any

import pytest

from model.contract.sampling import FrameContract, ModelDescription, SamplingDefaults, Task
from model.errors import InvalidRequest
from model.serving.openai.bodies import Body
from model.serving.openai.filming import asked_for, read_film
from model.settings import Settings


def described(**defaults: Any) -> ModelDescription:
    return ModelDescription(
        pipeline="SomePipeline",
        family="some",
        tasks=(Task.TEXT_TO_VIDEO,),
        defaults=SamplingDefaults(width=64, height=64, num_inference_steps=2, **defaults),
        alignment=16,
        accepted={},
        cancellable=True,
        device="cpu",
        dtype="float32",
        revision="abc",
        frames=FrameContract(8),
    )


def frames(seconds: Any, **values: Any) -> Any:
    film = read_film(Body({"prompt": "a fox", "seconds": seconds, **values}), Settings())
    ask = asked_for(film.values, film.reference, described(fps=16.0), Settings())
    assert "seconds" not in ask.parameters
    return ask.parameters["num_frames"]


@pytest.mark.parametrize(
    ("seconds", "rate", "expected"),
    [
        ("1", None, 17),
        (1, None, 17),
        (4, None, 65),
        (0.01, None, 1),
        (0.2, None, 1),
        (0.5, None, 9),
        (0.8, None, 17),
        (2, 8.0, 17),
    ],
)
def test_seconds_become_the_nearest_number_of_frames_that_fits(
    seconds: Any, rate: float | None, expected: int
) -> None:
    given = {} if rate is None else {"fps": rate}
    assert frames(seconds, **given) == expected


def test_without_a_rate_seconds_say_nothing() -> None:
    with pytest.raises(InvalidRequest, match="seconds: needs fps"):
        asked_for({"prompt": "a fox", "seconds": 1.0}, None, described(), Settings())


def test_what_makes_no_video_says_where_to_ask() -> None:
    pictures = replace(described(), tasks=(Task.TEXT_TO_IMAGE,))
    with pytest.raises(InvalidRequest, match="model: draws pictures"):
        asked_for({"prompt": "a fox"}, None, pictures, Settings())


def test_a_reference_is_refused_where_no_task_takes_one() -> None:
    with pytest.raises(InvalidRequest, match="input_reference: this model does text-to-video"):
        asked_for({"prompt": "a fox"}, b"x", described(), Settings())


def test_values_are_kept_as_json_has_them() -> None:
    sent = {"prompt": "a fox", "seconds": "2", "model": "mine", "user": "ann", "seed": "7"}
    film = read_film(Body(sent), Settings())
    assert dict(film.values) == {"prompt": "a fox", "seconds": 2.0, "seed": 7}
    assert film.user == "ann"
