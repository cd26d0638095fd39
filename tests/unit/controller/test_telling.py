"""What the operator reads out of a server's answer. The contract's tests give it a real report."""

import json
from typing import Any

import pytest

from controller.telling import Told, read_told
from model.contract.state import State

ANSWER: dict[str, Any] = {
    "name": "fox",
    "state": "ready",
    "degraded": None,
    "warmup": {
        "done": 3,
        "of": 3,
        "engines": 1,
        "seconds": 12.345,
        "failure": None,
        "shapes": [
            {"shape": "a 512x512", "proven": True},
            {"shape": "b 768x768", "proven": False},
            {"shape": "c 1024x1024", "proven": True},
        ],
    },
}


def test_c05_warm_is_what_was_proven() -> None:
    assert read_told(json.dumps(ANSWER).encode()) == Told(
        State.READY, 3, 3, 12.3, ("a 512x512", "c 1024x1024")
    )


def test_c05_warm_is_what_every_engine_has_proven() -> None:
    shapes = [
        {"shape": "a", "engine": 0, "proven": True},
        {"shape": "a", "engine": 1, "proven": True},
        {"shape": "b", "engine": 0, "proven": True},
        {"shape": "b", "engine": 1, "proven": False},
    ]
    answer = {**ANSWER, "warmup": {**ANSWER["warmup"], "engines": 2, "shapes": shapes}}
    found = read_told(json.dumps(answer).encode())
    assert found is not None
    assert found.shapes == ("a",)


@pytest.mark.parametrize(
    "text",
    ["", "<html>", "[1]", "null", '{"state": "ready"}', json.dumps({**ANSWER, "state": "melting"}),
     json.dumps({**ANSWER, "warmup": {**ANSWER["warmup"], "shapes": [1]}})],
)  # fmt: skip
def test_c05_what_is_no_answer_of_ours_says_nothing(text: str) -> None:
    assert read_told(text.encode()) is None


def test_c05_a_router_tells_how_many_of_each_role_are_proven() -> None:
    roles = {"encoder": {"proven": 2, "of": 3}, "denoiser": {"proven": 0, "of": 1}}
    found = read_told(json.dumps({**ANSWER, "roles": roles}).encode())
    assert found is not None
    assert found.proven == {"encoder": 2, "denoiser": 0}
    assert found.knows({"encoder": 2, "denoiser": 0})
    assert not found.knows({"encoder": 3, "denoiser": 0})
    for others in ({}, {"roles": None}):
        alone = read_told(json.dumps({**ANSWER, **others}).encode())
        assert alone is not None
        assert alone.proven is None
        assert alone.knows({"encoder": 2})
