"""A model's description crosses whole, and between neighbouring releases."""

import json

import pytest

from model.contract.description import read_description, write_description
from model.contract.sampling import FrameContract, ModelDescription, SamplingDefaults, Task

MODEL = ModelDescription(
    pipeline="WanPipeline",
    family="Wan",
    tasks=(Task.TEXT_TO_VIDEO, Task.VIDEO_TO_VIDEO),
    defaults=SamplingDefaults(
        832, 480, 50, guidance_scale=5.0, num_frames=81, sources={"width": "base"}
    ),
    alignment=16,
    accepted={Task.TEXT_TO_VIDEO: frozenset({"guidance_scale"}), Task.VIDEO_TO_VIDEO: frozenset()},
    cancellable=True,
    device="cuda:0",
    dtype="bfloat16",
    revision="v1",
    most_image_ratio=2.5,
    frames=FrameContract(4),
    unbatched=frozenset({Task.VIDEO_TO_VIDEO}),
    load_seconds={"read": 1.5},
)


def test_it_comes_out_as_it_went_in() -> None:
    assert read_description(write_description(MODEL)) == MODEL


def test_a_field_of_a_newer_release_is_passed_over() -> None:
    newer = {**json.loads(write_description(MODEL)), "smell": "of roses"}
    assert read_description(json.dumps(newer).encode()) == MODEL


@pytest.mark.parametrize(("name", "value"), [("alignment", "sixteen"), ("tasks", ["knitting"])])
def test_what_is_none_is_refused_by_field(name: str, value: object) -> None:
    wrong = {**json.loads(write_description(MODEL)), name: value}
    with pytest.raises(ValueError, match=f"description: {name}"):
        read_description(json.dumps(wrong).encode())


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="description: Invalid JSON"):
        read_description(b"\x80\x04K")
