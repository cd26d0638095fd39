"""W24: which smaller shape comes next."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.contract.sampling import FrameContract, Task
from model.settings import Settings
from model.warmup.ladder import lightened, lighter
from model.warmup.plan import Target, build_plan
from tests.unit.model.warmup.conftest import describe

T2I, I2I, T2V = Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.TEXT_TO_VIDEO
F2V, V2V = Task.FRAMES_TO_VIDEO, Task.VIDEO_TO_VIDEO


def ladder(target: Target, model: Any) -> list[str]:
    found = []
    at: Target | None = target
    while (at := lighter(at, model)) is not None:
        found.append(f"{at.width}x{at.height}x{at.frames}")
    return found


def test_w24_latent_frames_are_halved_first_and_then_the_area() -> None:
    model = describe(T2V, frames=FrameContract(4))
    found = ladder(Target(T2V, 832, 480, 17, 1), model)
    assert found[:3] == ["832x480x9", "832x480x5", "832x480x1"]
    assert found[3:5] == ["576x336x1", "400x224x1"]


@pytest.mark.parametrize(("step", "frames"), [(4, [9, 5, 1]), (8, [9, 1]), (1, [9, 5, 3, 2, 1])])
def test_w24_frames_follow_the_models_contract(step: int, frames: list[int]) -> None:
    model = describe(T2V, frames=FrameContract(step))
    found = ladder(Target(T2V, 64, 64, 17, 1), model)
    assert [int(each.rpartition("x")[2]) for each in found[: len(frames)]] == frames


def test_w24_a_picture_halves_its_area_aligned_down_to_one_unit() -> None:
    found = ladder(Target(T2I, 1024, 1024, 1, 1), describe())
    assert found[:4] == ["720x720x1", "496x496x1", "336x336x1", "224x224x1"]
    assert found[-1] == "16x16x1"


def test_w24_the_batch_stays_what_was_asked_for() -> None:
    smaller = lighter(Target(T2I, 128, 128, 1, 4), describe())
    assert smaller == Target(T2I, 80, 80, 1, 4)


def test_w24_an_input_picture_stays_large_enough_for_the_family() -> None:
    model = describe(I2I, least_image_side=64)
    assert ladder(Target(I2I, 128, 128, 1, 1), model)[-1] == "80x80x1"
    ends = describe(F2V, least_image_side=64, frames=FrameContract(4))
    assert ladder(Target(F2V, 128, 128, 9, 1), ends) == ["128x128x5", "80x80x5"]
    film = describe(V2V, least_image_side=64, frames=FrameContract(4))
    assert ladder(Target(V2V, 128, 128, 5, 1), film)[-1] == "80x80x1"


@given(
    st.integers(1, 64), st.integers(1, 64), st.integers(1, 200), st.sampled_from([1, 4, 8]),
    st.sampled_from([16, 32, 64]),
)  # fmt: skip
def test_w24_every_ladder_ends_aligned_and_within_the_contract(
    width: int, height: int, frames: int, step: int, unit: int
) -> None:
    contract = FrameContract(step)
    model = describe(T2V, frames=contract, alignment=unit)
    at: Target | None = Target(T2V, width * unit, height * unit, contract.fitted(frames), 1)
    for _ in range(64):
        assert at is not None
        assert contract.fits(at.frames)
        assert not at.width % unit
        assert not at.height % unit
        size = at.width * at.height * at.frames
        if (at := lighter(at, model)) is None:
            break
        assert at.width * at.height * at.frames < size
    assert at is None, "it has an end"


def test_w24_the_smaller_request_is_new_and_whole() -> None:
    model = describe(I2I, width=256, height=128)
    (built,) = build_plan(model, Settings())
    planned = replace(built, engine=1)
    smaller = lightened(planned, model, Settings())
    assert smaller is not None
    assert (smaller.sampling.width, smaller.sampling.height) == (176, 80)
    assert smaller.images[0].shape == (80, 176, 3)
    assert smaller.warmup
    assert smaller.engine == 1, "W21: it is tried where the larger one did not fit"
    assert planned.sampling.width == 256
    assert planned.images[0].shape == (128, 256, 3)
