"""W10 to W14: which requests make a model warm."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.contract.sampling import FrameContract, ModelDescription, Task
from model.errors import InvalidRequest, InvalidSettings
from model.media.decode import decode_picture
from model.pipelines.requests import Ask, build_request
from model.settings import Settings
from model.warmup import pictures
from model.warmup.plan import (
    PLACEHOLDER,
    USUAL_STRENGTH,
    Target,
    build_plan,
    first_request_copy,
    targets,
    warmup_steps,
)

T2I, I2I, INPAINTING = Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.INPAINTING
T2V, I2V = Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO
F2V, V2V = Task.FRAMES_TO_VIDEO, Task.VIDEO_TO_VIDEO
WAN = FrameContract(4)


def shown(model: ModelDescription, **settings: Any) -> list[str]:
    return [str(each) for each in targets(model, Settings(**settings))]


def test_w10_w11_it_warms_the_models_own_task_at_its_own_size_in_full(
    described: Any, settings: Settings
) -> None:
    (planned,) = build_plan(described(width=1344, height=768, guidance_scale=5.0), settings)
    assert planned.task is Task.TEXT_TO_IMAGE
    assert (planned.sampling.width, planned.sampling.height) == (1344, 768)
    assert planned.sampling.guidance_scale == 5.0
    assert planned.warmup
    assert planned.deadline is None, "the runner sets one for each pass (W23)"


def test_w11_a_default_size_that_is_not_aligned_is_refused(
    described: Any, settings: Settings
) -> None:
    with pytest.raises(InvalidRequest, match="width: must be a multiple of 16"):
        build_plan(described(width=100), settings)


@pytest.mark.parametrize(
    ("default", "asked", "steps"),
    [(50, 2, 2), (50, 1, 2), (50, 10, 10), (50, 400, 50), (1, 1, 1), (1, 10, 1), (2, 1, 2)],
)
def test_w12_steps_are_the_default_or_at_least_two(
    described: Any, default: int, asked: int, steps: int
) -> None:
    settings = Settings(warmup_steps=asked)
    assert warmup_steps(default, settings) == steps
    (planned,) = build_plan(described(num_inference_steps=default), settings)
    assert planned.sampling.num_inference_steps == steps


@pytest.mark.parametrize("task", Task)
def test_w13_the_prompt_is_a_placeholder_and_never_empty(
    described: Any, settings: Settings, task: Task
) -> None:
    video = {"frames": WAN, "num_frames": 5} if task.makes_video else {}
    (planned,) = build_plan(described(task, **video), settings)
    assert planned.prompts == (PLACEHOLDER,)
    assert PLACEHOLDER.strip()


@pytest.mark.parametrize(
    ("defaults", "embedded", "negatives", "cfg"),
    [
        ({"guidance_scale": 7.5, "negative_prompt": "ugly"}, False, ("ugly",), True),
        ({"guidance_scale": 7.5, "negative_prompt": ""}, False, ("",), True),
        ({"guidance_scale": 7.5}, False, None, True),
        ({"guidance_scale": 1.0, "negative_prompt": ""}, False, ("",), False),
        ({"guidance_scale": 0.0}, False, None, False),
        ({}, False, None, False),
        ({"true_cfg_scale": 4.0, "negative_prompt": " "}, False, (" ",), True),
        ({"true_cfg_scale": 4.0}, False, None, False),
        ({"guidance_scale": 3.5}, True, None, False),
    ],
)
def test_w14_guidance_and_the_negative_prompt_are_the_models_own(
    described: Any,
    settings: Settings,
    defaults: dict[str, Any],
    embedded: bool,
    negatives: tuple[str, ...] | None,
    cfg: bool,
) -> None:
    """So the default negative prompt's embedding is computed before the first user."""
    model = described(guidance_embedded=embedded, **defaults)
    (planned,) = build_plan(model, settings)
    assert planned.negative_prompts == negatives
    assert planned.cfg is cfg


def test_w20_a_user_who_says_nothing_gets_the_shape_that_was_warmed(
    described: Any, settings: Settings
) -> None:
    model = described(guidance_scale=7.5, negative_prompt="ugly")
    (planned,) = build_plan(model, settings)
    asked = build_request(Ask(prompts=("a fox",)), model, settings)
    assert planned.shape == asked.shape


@pytest.mark.parametrize("task", [Task.IMAGE_TO_IMAGE, Task.INPAINTING])
def test_a_model_that_needs_a_picture_is_warmed_with_one(
    described: Any, settings: Settings, task: Task
) -> None:
    (planned,) = build_plan(described(task), settings)
    assert planned.task is task
    (picture,) = planned.images
    assert picture.shape == (64, 128, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 0, "a flat picture has no deviation to divide by"
    assert [each.shape for each in planned.masks] == [(64, 128)] * (task is Task.INPAINTING)


# -- W04: what was asked for ---------------------------------------------------------------------


def test_w04_sizes_replace_the_default(described: Any) -> None:
    found = build_plan(described(), Settings(warmup_resolutions="64x64,96x128"))
    sizes = [(each.sampling.width, each.sampling.height) for each in found]
    assert sizes == [(64, 64), (96, 128)]


def test_w04_steps_and_sampling_values_replace_the_defaults(described: Any) -> None:
    overrides = {"guidance_scale": 1, "negative_prompt": "ugly"}
    (planned,) = build_plan(
        described(guidance_scale=7.5),
        Settings(warmup_steps=5, warmup_sampling_params=overrides),
    )
    assert planned.sampling.num_inference_steps == 5
    assert planned.sampling.guidance_scale == 1.0
    assert planned.negative_prompts == ("ugly",)
    assert not planned.cfg, "the shape follows the values"


def test_w04_frames_replace_the_default_and_its_cap(described: Any) -> None:
    model = described(T2V, frames=WAN, num_frames=81)
    assert shown(model, warmup_num_frames=33) == ["text-to-video 128x64x33 batch 1"]


def test_w18_each_size_is_combined_with_each_batch_size_and_task(described: Any) -> None:
    model = described(T2I, I2I)
    found = shown(
        model,
        warmup_resolutions="64x64,128x64",
        warmup_batch_sizes="2,1",
        warmup_tasks="image-to-image,text-to-image",
    )
    assert len(found) == len(set(found)) == 8
    assert found[0] == "text-to-image 128x64 batch 1", "the model's own default comes first"
    assert found[1] == "image-to-image 64x64 batch 2", "the others in the order of the settings"


def test_w18_a_batch_repeats_the_prompt(described: Any) -> None:
    one, four = build_plan(described(), Settings(warmup_batch_sizes="1,4"))
    assert (one.prompts, four.prompts) == ((PLACEHOLDER,), (PLACEHOLDER,) * 4)
    assert [each.shape.batch for each in (one, four)] == [1, 4]
    assert len(set(four.seeds)) == 4


def test_w18_a_task_of_one_prompt_a_request_is_warmed_with_one(described: Any) -> None:
    model = described(I2I, T2I, own_tasks=2, unbatched=frozenset({I2I}))
    assert shown(model, warmup_batch_sizes="1,2") == [
        "image-to-image 128x64 batch 1",
        "text-to-image 128x64 batch 1",
        "text-to-image 128x64 batch 2",
    ]


@pytest.mark.parametrize(
    ("facts", "settings", "problem"),
    [
        (
            {},
            {"warmup_resolutions": "64x64,100x64"},
            "warmup_resolutions: 100x64: both sides must be multiples of 16 for this model, such "
            "as 96x64",
        ),
        ({}, {"warmup_resolutions": "3x64"}, "such as 16x64"),
        (
            {},
            {"warmup_tasks": "inpainting,text-to-image"},
            "warmup_tasks: SomePipeline does not do inpainting; it does text-to-image",
        ),
        ({}, {"warmup_num_frames": 5}, "warmup_num_frames: SomePipeline draws pictures"),
        (
            {"tasks": (T2V,), "frames": WAN},
            {"warmup_num_frames": 18},
            "warmup_num_frames: 18 does not fit this model, whose videos have a multiple of 4 and "
            "1 frames, such as 17",
        ),
        (
            {"accepted": {T2I: frozenset({"width"})}},
            {"warmup_sampling_params": {"guidance_scale": 5}},
            "warmup_sampling_params: guidance_scale: SomePipeline does not take it for text-to-im",
        ),
        (
            {},
            {"warmup_sampling_params": {"guidance_scale": 5000}},
            "warmup_sampling_params: text-to-image 128x64 batch 1: guidance_scale: must be at most",
        ),
        (
            {"tasks": (I2I,)},
            {"warmup_sampling_params": {"strength": 0}},
            "warmup_sampling_params: image-to-image 128x64 batch 1: strength: 0 of 2 steps",
        ),
        (
            {"tasks": (I2I,)},
            {"warmup_sampling_params": {"strength": -1}},
            "warmup_sampling_params: image-to-image 128x64 batch 1: strength: must be at least 0",
        ),
        (
            {"tasks": (I2I,)},
            {"warmup_sampling_params": {"strength": 1e-9}},
            "warmup_sampling_params: image-to-image 128x64 batch 1: num_inference_steps: must",
        ),
        (
            {"tasks": (T2V,), "frames": WAN},
            {"warmup_num_frames": 33, "max_frames": 32},
            "warmup_num_frames: text-to-video 128x64x33 batch 1: num_frames: 33 in all",
        ),
        (
            {"tasks": (T2V,), "frames": WAN},
            {"warmup_batch_sizes": "2", "max_frames": 32},
            "warmup_batch_sizes: text-to-video 128x64x17 batch 2: num_frames: 34 in all",
        ),
        (
            {"unbatched": frozenset({T2I})},
            {"warmup_batch_sizes": "1,2"},
            "warmup_batch_sizes: SomePipeline takes one prompt a request for text-to-image",
        ),
    ],
)
def test_w04_what_does_not_fit_the_model_is_refused_by_name(
    described: Any, facts: dict[str, Any], settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        build_plan(described(**facts), Settings(**settings))
    assert problem in str(caught.value)
    assert caught.value.exit_code == 2


def test_w04_a_value_that_some_planned_task_takes_is_given_to_that_one(described: Any) -> None:
    plain = frozenset({"width", "height", "num_inference_steps"})
    model = described(T2I, I2I, own_tasks=2, accepted={T2I: plain, I2I: plain | {"strength"}})
    settings = Settings(warmup_sampling_params={"strength": 0.5})
    text, picture = build_plan(model, settings)
    assert (text.sampling.strength, picture.sampling.strength) == (None, 0.5)


# -- W11: videos ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "frames", "expected"),
    [
        ((832, 480), 81, "832x480x17"),
        ((480, 832), 81, "480x832x17"),
        ((1280, 720), 81, "832x464x17"),
        ((1024, 1024), 16, "624x624x13"),
        ((704, 480), 161, "704x480x17"),
        ((128, 64), 3, "128x64"),
    ],
)
def test_w11_a_video_is_capped_and_then_fitted(
    described: Any, size: tuple[int, int], frames: int, expected: str
) -> None:
    width, height = size
    model = described(T2V, frames=WAN, num_frames=frames, width=width, height=height)
    assert shown(model) == [f"text-to-video {expected} batch 1"]


def test_w11_frames_are_fitted_to_the_contract(described: Any) -> None:
    model = described(T2V, frames=FrameContract(8), num_frames=16)
    assert shown(model) == ["text-to-video 128x64x9 batch 1"]


def test_w11_what_was_asked_for_is_not_capped(described: Any) -> None:
    model = described(T2V, frames=WAN, num_frames=81, width=832, height=480)
    found = shown(model, warmup_resolutions="1280x720", warmup_num_frames=81)
    assert found == ["text-to-video 1280x720x81 batch 1"]


# -- W15, W16: inputs ----------------------------------------------------------------------------


def test_w14_with_cfg_parallel_every_planned_request_is_guided(described: Any) -> None:
    """And an empty negative prompt is filled in where the second pass needs one."""
    divided = Settings(cfg_parallel=True)
    qwen = {"pipeline": "QwenImagePipeline", "true_cfg_scale": 4.0}
    (planned,) = build_plan(described(**qwen), Settings())
    assert not planned.cfg
    (planned,) = build_plan(described(**qwen), divided)
    assert (planned.cfg, planned.shape.cfg, planned.negative_prompts) == (True, True, (" ",))
    with pytest.raises(InvalidSettings, match="cfg_parallel: QwenImagePipeline draws in one pass"):
        build_plan(described(**{**qwen, "true_cfg_scale": 1.0}), divided)


def test_w15_a_class_that_does_both_is_warmed_with_and_without_a_picture(described: Any) -> None:
    with_picture, without = build_plan(described(I2I, T2I, own_tasks=2), Settings())
    assert (with_picture.task, len(with_picture.images)) == (I2I, 1)
    assert (without.task, without.images) == (T2I, ())
    assert (with_picture.shape.image_in, without.shape.image_in) == (True, False)


def test_w15_a_task_of_two_frames_gets_both_and_one_of_a_video_gets_it(described: Any) -> None:
    """In the size and the length that are drawn."""
    model = described(F2V, V2V, own_tasks=2, frames=WAN, num_frames=81, width=96, height=64)
    ends, film = build_plan(model, Settings(warmup_num_frames=5))
    assert (ends.task, film.task) == (F2V, V2V)
    assert [each.shape for each in (*ends.images, *ends.last_images)] == [(64, 96, 3)] * 2
    assert ends.videos == film.images == ()
    (video,) = film.videos
    assert (video.shape, video.dtype) == ((5, 64, 96, 3), np.uint8)
    assert np.abs(np.diff(video.astype(int), axis=0)).mean() > 1, "it moves"
    assert (film.sampling.num_frames, film.sampling.strength) == (5, USUAL_STRENGTH)
    assert film.shape.frames == 5
    assert np.shares_memory(pictures.video(5, 64, 96), video), "made once"


def test_w15_siblings_are_warmed_when_asked_for(described: Any) -> None:
    model = described(T2I, I2I, INPAINTING)
    assert shown(model) == ["text-to-image 128x64 batch 1"]
    assert shown(model, warmup_tasks="inpainting") == ["inpainting 128x64 batch 1"]


def test_w16_the_picture_is_real_and_has_the_size_that_a_users_would_have(described: Any) -> None:
    model = described(I2I, accepted={I2I: frozenset({"num_inference_steps", "strength"})})
    (planned,) = build_plan(model, Settings(warmup_resolutions="192x96"))
    (picture,) = planned.images
    assert picture.shape == (96, 192, 3), "the call takes no size: the picture has it"
    assert (planned.sampling.width, planned.sampling.height) == (192, 96)
    again = decode_picture(pictures._png(picture), "image", 192 * 96, (None, None))
    assert np.array_equal(picture, again)
    steps = np.abs(np.diff(picture.astype(int), axis=1))
    assert 0 < steps.max() <= 255 / 95 + 1, "smooth"


@pytest.mark.parametrize("least", [64, 128])
def test_w16_the_picture_is_never_smaller_than_the_family_takes(described: Any, least: int) -> None:
    model = described(I2I, least_image_side=least)
    smallest, short = f"{least}x{least}", f"{least}x{least - 16}"
    (planned,) = build_plan(model, Settings(warmup_resolutions=smallest))
    assert planned.images[0].shape == (least, least, 3)
    with pytest.raises(InvalidSettings, match=f"warmup_resolutions: .*{short}.*at least {least}"):
        build_plan(model, Settings(warmup_resolutions=short))


def test_w16_a_family_that_takes_several_gets_several(described: Any) -> None:
    model = described(I2I, images_in=2, most_images_in=3, unbatched=frozenset({I2I}))
    (planned,) = build_plan(model, Settings())
    assert [each.shape for each in planned.images] == [(64, 128, 3)] * 2
    assert pictures.picture(64, 64) is pictures.picture(64, 64), "made once"


@pytest.mark.parametrize(
    ("strength", "steps", "run"),
    [(None, 3, 2), (1.0, 2, 2), (0.5, 4, 2), (0.3, 7, 2), (0.99, 3, 2)],
)
def test_w12_two_steps_are_run_whatever_the_strength(
    described: Any, strength: float | None, steps: int, run: int
) -> None:
    (planned,) = build_plan(described(I2I, strength=strength), Settings())
    assert planned.sampling.num_inference_steps == steps
    assert planned.sampling.strength == (strength or USUAL_STRENGTH)
    assert int(steps * planned.sampling.strength) == run


@given(st.integers(1, 60), st.floats(0.001, 1.0))
def test_w12_as_many_steps_as_leave_two_and_no_more(asked: int, strength: float) -> None:
    run = min(asked, 2)
    steps = warmup_steps(asked, Settings(), strength)
    assert int(steps * strength) >= run
    assert int((steps - 1) * strength) < run or steps == 1


def test_w12_a_call_without_steps_is_warmed_all_the_same(described: Any) -> None:
    model = described(accepted={T2I: frozenset({"width", "height"})})
    (planned,) = build_plan(model, Settings())
    assert planned.shape.width == 128


def test_w06_a_copy_with_little_strength_still_runs_two_steps(described: Any) -> None:
    asked = build_request(
        Ask(("a fox",), images=(pictures.picture(64, 128),),
            parameters={"num_inference_steps": 30, "strength": 0.25}),
        described(I2I), Settings(),
    )  # fmt: skip
    copy = first_request_copy(asked, Settings())
    assert copy.sampling.num_inference_steps == 8
    assert copy.sampling.strength == 0.25


def test_a_target_is_what_a_shape_asks_for(described: Any) -> None:
    (planned,) = build_plan(described(), Settings())
    assert Target.of(planned.shape) == targets(described(), Settings())[0]


def test_w06_the_first_requests_copy_is_bounded_and_its_own(
    described: Any, settings: Settings
) -> None:
    asked = build_request(
        Ask(prompts=("a fox",), id="mine", parameters={"num_inference_steps": 30, "seed": 3}),
        described(),
        settings,
    )
    copy = first_request_copy(asked, settings)
    assert copy.id != asked.id
    assert copy.warmup
    assert not asked.warmup
    assert copy.sampling.num_inference_steps == 2
    assert asked.sampling.num_inference_steps == 30, "the original is not touched"
    assert copy.shape == asked.shape
    assert copy.prompts == asked.prompts
    assert copy.deadline == asked.deadline, "it may not outlive the request that it precedes"


@pytest.mark.parametrize(
    ("pipeline", "steps", "settings", "previews"),
    [
        ("FluxPipeline", 8, {}, 1),
        ("FluxPipeline", 8, {"max_partial_images": 0}, 0),
        ("FluxPipeline", 1, {}, 0),
        ("FluxPipeline", 8, {"warmup_batch_sizes": (2,)}, 0),
        ("SomePipeline", 8, {}, 0),
        ("FluxPipeline", 8, {"role": "router"}, 0),
    ],
    ids=[
        "a picture",
        "not offered",
        "no step before the last",
        "a batch",
        "unknown latents",
        "a chain",
    ],
)
def test_w40_what_a_user_may_look_at_on_the_way_is_warmed(
    described: Any, pipeline: str, steps: int, settings: dict[str, Any], previews: int
) -> None:
    model = described(pipeline=pipeline, num_inference_steps=steps)
    (planned,) = build_plan(model, Settings(**settings))
    assert planned.previews == previews
