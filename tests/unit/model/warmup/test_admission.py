"""W24 and W40: which requests a warm server takes."""

from dataclasses import replace
from typing import Any

import pytest

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Shape, Task
from model.contract.warmup import UnwarmedShapes, WarmupMode
from model.errors import ShapeRefused
from model.warmup.admission import MOST_LISTED, admit
from model.warmup.report import ShapeReport, WarmupReport

T2I, I2I, T2V = Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.TEXT_TO_VIDEO
ALLOW, REJECT = UnwarmedShapes.ALLOW, UnwarmedShapes.REJECT


def asked(
    width: int = 64, height: int = 64, batch: int = 1, task: Task = T2I, **more: Any
) -> GenerationRequest:
    frames = more.pop("frames", None)
    return GenerationRequest(
        id="mine",
        task=task,
        prompts=("a fox",) * batch,
        sampling=Sampling(width, height, 8, num_frames=frames),
        seeds=tuple(range(batch)),
        **more,
    )


def proof(request: GenerationRequest, shrunk_from: Shape | None = None) -> ShapeReport:
    return ShapeReport(request.shape, 2, (1.0, 1.0), (0, 0), settled=True, asked=shrunk_from)


def report(*shapes: ShapeReport) -> WarmupReport:
    return WarmupReport(WarmupMode.SERVER, "default", of=len(shapes), shapes=shapes)


WHOLE = report(proof(asked(64, 64)), proof(asked(128, 128)))
# 256x256 was planned, and memory sufficed for 128x128.
SHRUNK = report(proof(asked(64, 64, 2)), proof(asked(128, 128), asked(256, 256).shape))


@pytest.mark.parametrize("policy", UnwarmedShapes)
def test_w40_a_warm_shape_is_always_served(policy: UnwarmedShapes) -> None:
    admit(asked(64, 64), WHOLE, policy)
    admit(asked(128, 128), SHRUNK, policy)


@pytest.mark.parametrize(
    "request_of_user",
    [
        asked(96, 96),
        asked(64, 64, batch=2),
        asked(64, 64, cfg=True),
        asked(64, 64, task=I2I, images=("a picture",)),
    ],
    ids=["size", "batch", "guidance", "task"],
)
def test_w40_allow_serves_what_is_cold_and_reject_refuses_it(
    request_of_user: GenerationRequest,
) -> None:
    admit(request_of_user, WHOLE, ALLOW)
    with pytest.raises(ShapeRefused) as refused:
        admit(request_of_user, WHOLE, REJECT)
    message = str(refused.value)
    assert f"{request_of_user.shape} is not warm" in message
    assert "warm are text-to-image 128x128 batch 1; text-to-image 64x64 batch 1" in message
    assert refused.value.http_status == 400


def test_w40_the_list_of_warm_shapes_is_bounded() -> None:
    many = report(*(proof(asked(16 * each, 16)) for each in range(1, 101)))
    with pytest.raises(ShapeRefused, match=f"; and {100 - MOST_LISTED} more") as refused:
        admit(asked(8, 8), many, REJECT)
    assert str(refused.value).count("text-to-image") == 1 + MOST_LISTED


def test_w40_where_nothing_is_warm_the_refusal_says_so() -> None:
    with pytest.raises(ShapeRefused, match="no shape is warm, since the warmup failed"):
        admit(asked(), report(replace(proof(asked()), failure="it broke")), REJECT)


@pytest.mark.parametrize("policy", UnwarmedShapes)
@pytest.mark.parametrize(
    ("request_of_user", "field", "limit"),
    [
        (asked(256, 256), "width", "256x256 is above 16384 pixels"),
        (asked(144, 128), "width", "144x128 is above 16384 pixels"),
        (asked(128, 128, batch=2), "num_images_per_prompt", "fewer or smaller pictures"),
        (asked(128, 128, cfg=True), "num_images_per_prompt", "fewer or smaller pictures"),
    ],
    ids=["asked", "a little more", "batch", "guidance"],
)
def test_w24_above_what_was_proven_nothing_is_served(
    policy: UnwarmedShapes, request_of_user: GenerationRequest, field: str, limit: str
) -> None:
    with pytest.raises(ShapeRefused) as refused:
        admit(request_of_user, SHRUNK, policy)
    assert refused.value.field == field
    assert limit in str(refused.value)
    assert "the largest warm shape is text-to-image 128x128 batch 1" in str(refused.value)
    assert refused.value.http_status == 400


@pytest.mark.parametrize(
    "request_of_user",
    [asked(96, 96), asked(64, 64, batch=4), asked(64, 64, cfg=True), asked(16, 1024)],
)
def test_w24_within_it_everything_is_served_as_before(request_of_user: GenerationRequest) -> None:
    admit(request_of_user, SHRUNK, ALLOW)
    with pytest.raises(ShapeRefused, match="is not warm"):
        admit(request_of_user, SHRUNK, REJECT)


def test_w24_frames_have_a_limit_of_their_own() -> None:
    proven = asked(64, 64, task=T2V, frames=9)
    shrunk = report(proof(proven, asked(64, 64, task=T2V, frames=17).shape))
    with pytest.raises(ShapeRefused, match="num_frames: 17 is above 9, the most"):
        admit(asked(16, 16, task=T2V, frames=17), shrunk, ALLOW)
    admit(asked(64, 64, task=T2V, frames=5), shrunk, ALLOW)


def test_w21_w24_the_limit_is_that_of_the_engine_with_least_memory() -> None:
    whole = replace(proof(asked(128, 128)), engine=1)
    shapes = (proof(asked(64, 64), asked(128, 128).shape), whole)
    both = replace(report(*shapes), engines=2)
    with pytest.raises(ShapeRefused, match=r"above 4096 pixels.* is text-to-image 64x64"):
        admit(asked(128, 128), both, ALLOW)
    admit(asked(64, 64), both, ALLOW)


def test_w24_other_tasks_are_not_limited() -> None:
    admit(asked(256, 256, task=I2I, images=("a picture",)), SHRUNK, ALLOW)


def test_w25_a_server_that_was_told_to_go_on_with_nothing_warm_serves_cold() -> None:
    nothing = report(replace(proof(asked(16, 16), asked().shape), failure="no room"))
    assert nothing.degraded is None
    admit(asked(16, 16), nothing, ALLOW)
