"""Completing and checking a request: the one way that every protocol and warmup take."""

import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.contract.sampling import ModelDescription, Task
from model.errors import InvalidRequest
from model.pipelines.parameters import LARGEST_SEED
from model.pipelines.requests import Ask, build_request, output_format
from model.settings import Settings

PICTURE = np.zeros((64, 128, 3), np.uint8)
TALL = np.zeros((100, 128, 3), np.uint8)
MASK = np.zeros((64, 128), np.uint8)
FILM = np.zeros((17, 64, 128, 3), np.uint8)


def ask(*prompts: str, **known: Any) -> Ask:
    fields = {name: known.pop(name) for name in list(known) if name in Ask.__dataclass_fields__}
    return Ask(prompts=prompts or ("a fox",), parameters=known, **fields)


def refused(asked: Ask, model: ModelDescription, settings: Settings) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        build_request(asked, model, settings)
    return caught.value


def test_defaults_fill_what_the_client_left_out(
    description: ModelDescription, settings: Settings
) -> None:
    before = time.monotonic()
    request = build_request(ask(), description, settings)
    after = time.monotonic()
    assert request.task is Task.TEXT_TO_IMAGE
    assert (request.sampling.width, request.sampling.height) == (128, 64)
    assert request.sampling.num_inference_steps == 8
    assert request.sampling.guidance_scale == 2.0
    assert request.sampling.strength is None
    assert request.negative_prompts == ("ugly",)
    assert request.deadline is not None
    assert before <= request.deadline - settings.request_timeout <= after
    assert (request.priority, request.warmup, len(request.seeds)) == (0, False, 1)
    assert request.id


def test_the_client_goes_before_the_defaults(
    description: ModelDescription, settings: Settings
) -> None:
    asked = ask(
        id="mine", width="64", height=32, num_inference_steps=3, guidance_scale="0.5",
        negative_prompts=("dull",), priority=5, timeout_s=2,
    )  # fmt: skip
    request = build_request(asked, description, settings)
    assert request.id == "mine"
    assert (request.sampling.width, request.sampling.height) == (64, 32)
    assert request.sampling.num_inference_steps == 3
    assert request.sampling.guidance_scale == 0.5
    assert request.negative_prompts == ("dull",)
    assert request.priority == 5
    assert request.deadline is not None
    assert request.deadline <= time.monotonic() + 2


def test_every_request_without_an_id_gets_its_own(
    description: ModelDescription, settings: Settings
) -> None:
    made = {build_request(ask(), description, settings).id for _ in range(8)}
    assert len(made) == 8


def test_seeds_count_on_from_the_one_given(
    description: ModelDescription, settings: Settings
) -> None:
    request = build_request(
        ask("a", "b", num_images_per_prompt=2, seed=7), description, settings
    )  # fmt: skip
    assert request.seeds == (7, 8, 9, 10)
    assert request.pictures == 4


def test_seeds_are_drawn_when_none_is_given(
    description: ModelDescription, settings: Settings
) -> None:
    first = {build_request(ask(), description, settings).seeds[0] for _ in range(8)}
    assert len(first) > 1


def test_the_largest_seed_is_possible_for_one_picture_only(
    description: ModelDescription, settings: Settings
) -> None:
    request = build_request(ask(seed=LARGEST_SEED), description, settings)
    assert request.seeds == (LARGEST_SEED,)
    error = refused(ask("a", "b", seed=LARGEST_SEED), description, settings)
    assert error.field == "seed"


def test_one_negative_prompt_and_one_picture_serve_all_prompts(
    description: ModelDescription, settings: Settings
) -> None:
    asked = ask("a", "b", negative_prompts=("dull",), images=(PICTURE,), masks=(MASK,))
    request = build_request(asked, description, settings)
    assert request.negative_prompts == ("dull", "dull")
    assert [len(each) for each in (request.images, request.masks)] == [2, 2]
    assert request.task is Task.INPAINTING


def test_one_for_each_prompt_keeps_its_order(
    description: ModelDescription, settings: Settings
) -> None:
    request = build_request(ask("a", "b", negative_prompts=("x", "y")), description, settings)
    assert request.negative_prompts == ("x", "y")


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({}, Task.TEXT_TO_IMAGE),
        ({"images": (PICTURE,)}, Task.IMAGE_TO_IMAGE),
        ({"images": (PICTURE,), "masks": (MASK,)}, Task.INPAINTING),
    ],
)
def test_the_task_follows_from_what_goes_in(
    description: ModelDescription, settings: Settings, given: dict[str, Any], task: Task
) -> None:
    assert build_request(ask(**given), description, settings).task is task


def test_a_picture_gives_its_size(description: ModelDescription, settings: Settings) -> None:
    picture = np.zeros((80, 96, 3), np.uint8)
    request = build_request(ask(images=(picture,)), description, settings)
    assert (request.sampling.width, request.sampling.height) == (96, 80)
    assert request.shape.image_in


@pytest.mark.parametrize(
    ("asked", "field", "problem"),
    [
        (Ask(prompts=()), "prompt", "is missing"),
        (ask(""), "prompt", "is empty"),
        (ask("a", " \n\t"), "prompt", "is empty"),
        (ask("a\0b"), "prompt", "NUL"),
        (ask(negative_prompts=("a\0",)), "negative_prompt", "NUL"),
        (ask("a\ud83e"), "prompt", "half of a surrogate pair"),
        (ask(negative_prompts=("\udd8a",)), "negative_prompt", "half of a surrogate pair"),
        (ask("x" * 10_001), "prompt", "has 10001 characters; at most 10000"),
        (ask(negative_prompts=("x" * 10_001,)), "negative_prompt", "at most 10000"),
        (ask(negative_prompts=("a", "b")), "negative_prompt", "has 2 elements for 1 prompts"),
        (ask(negative_prompts=()), "negative_prompt", "has 0 elements for 1 prompts"),
        (ask("a", "b", "c", images=(PICTURE,) * 2), "image", "has 2 elements for 3 prompts"),
        (ask(images=(PICTURE,), masks=(MASK,) * 2), "mask", "has 2 elements for 1 prompts"),
        (ask(masks=(MASK,)), "mask", "needs an image"),
        (ask(strength=0.5), "strength", "needs an image"),
        (ask(true_cfg_scale=4), "true_cfg_scale", "does not take it for text-to-image"),
        (ask(max_sequence_length=77), "max_sequence_length", "does not take it"),
        (ask(width=130), "width", "must be a multiple of 16 for this model"),
        (ask(height=1), "height", "must be a multiple of 16"),
        (ask(images=(TALL,)), "height", r"multiple of 16 .*\(the input picture has 100\)"),
        (ask(width=2048, height=2064), "width", "times height is 4227072 pixels; at most 4194304"),
        (ask(num_inference_steps=1001), "num_inference_steps", "must be at most 1000"),
        (ask(num_inference_steps=10**9), "num_inference_steps", "must be at most 1000"),
        (ask(num_inference_steps=0), "num_inference_steps", "must be at least 1"),
        (ask(num_inference_steps=-1), "num_inference_steps", "must be at least 1"),
        (ask(num_inference_steps=float("nan")), "num_inference_steps", "finite"),
        (ask(images=(PICTURE,), strength=0.1), "strength", "0.1 of 8 steps is less than one step"),
        (ask(num_images_per_prompt=17), "num_images_per_prompt", "17 pictures; at most 16"),
        (ask(*["a"] * 17), "prompt", "17 pictures; at most 16"),
        (ask(timeout_s=601), "timeout_s", "must be at most 600"),
        (ask(timeout_s=0), "timeout_s", "must be at least 0.001"),
        (ask(sharpness=2), "sharpness", "is not a parameter"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    description: ModelDescription, settings: Settings, asked: Ask, field: str, problem: str
) -> None:
    error = refused(asked, description, settings)
    assert error.field == field
    assert re.search(problem, str(error))


@pytest.mark.parametrize(
    ("tasks", "given", "field", "problem"),
    [
        ((Task.TEXT_TO_IMAGE,), {"images": (PICTURE,)}, "image", "this model does text-to-image"),
        ((Task.IMAGE_TO_IMAGE,), {}, "image", "is missing; this model does image-to-image"),
        (
            (Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE),
            {"images": (PICTURE,), "masks": (MASK,)},
            "mask",
            "this model does text-to-image, image-to-image only",
        ),
    ],
)
def test_a_task_that_the_model_lacks_is_refused_with_those_it_has(
    description: ModelDescription,
    settings: Settings,
    tasks: tuple[Task, ...],
    given: dict[str, Any],
    field: str,
    problem: str,
) -> None:
    error = refused(ask(**given), replace(description, tasks=tasks), settings)
    assert error.field == field
    assert problem in str(error)


@pytest.mark.parametrize(
    ("given", "task"),
    [({}, Task.TEXT_TO_VIDEO), ({"images": (PICTURE,)}, Task.IMAGE_TO_VIDEO)],
)
def test_a_video_models_task_follows_from_what_goes_in(
    video_description: ModelDescription, settings: Settings, given: dict[str, Any], task: Task
) -> None:
    request = build_request(ask(**given), video_description, settings)
    assert request.task is task
    assert (request.sampling.num_frames, request.sampling.fps) == (17, 16.0)
    assert request.shape.frames == 17
    assert request.pixel_shape == (1, 17, 64, 128, 3)


@pytest.mark.parametrize(
    ("asked", "field", "problem"),
    [
        (ask(num_frames=18), "num_frames", "multiple of 4, plus 1, .*: 17 or 21 are nearest to 18"),
        (ask(num_frames=2), "num_frames", ": 1 or 5 are nearest to 2"),
        (ask(num_frames=0), "num_frames", "must be at least 1"),
        (ask(num_frames=513), "num_frames", "513 in all 1 videos; at most 512"),
        (ask("a", "b", num_frames=257), "num_frames", "514 in all 2 videos; at most 512"),
        (ask(fps=0.5), "fps", "must be at least 1"),
        (ask("a", "b", images=(PICTURE,)), "prompt", "has 2 elements; .* image-to-video for one"),
        (ask(images=(PICTURE, PICTURE)), "image", "has 2 elements; this model takes 1"),
        (
            ask(images=(PICTURE,), num_images_per_prompt=2),
            "num_images_per_prompt",
            "SomeVideoPipeline does not take it for image-to-video",
        ),
        (ask(images=(PICTURE,), masks=(MASK,)), "mask", "this model does text-to-video, image-to-"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_video_is_named(
    video_description: ModelDescription, settings: Settings, asked: Ask, field: str, problem: str
) -> None:
    error = refused(asked, video_description, settings)
    assert error.field == field
    assert re.search(problem, str(error))


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({"images": (PICTURE,)}, Task.IMAGE_TO_VIDEO),
        ({"images": (PICTURE,), "last_images": (PICTURE,)}, Task.FRAMES_TO_VIDEO),
        ({"videos": (FILM,)}, Task.VIDEO_TO_VIDEO),
    ],
)
def test_w15_the_task_follows_from_last_frames_and_videos_too(
    film_description: ModelDescription, settings: Settings, given: dict[str, Any], task: Task
) -> None:
    request = build_request(ask(**given), film_description, settings)
    assert request.task is task
    assert request.shape.image_in
    for name in ("images", "last_images", "videos"):
        assert len(getattr(request, name)) == len(given.get(name, ()))


def test_w15_what_comes_out_has_the_size_the_length_and_the_rate_of_the_video(
    film_description: ModelDescription, settings: Settings
) -> None:
    film = FILM[:9, :, :80]
    request = build_request(ask(videos=(film,), video_fps=12.5), film_description, settings)
    assert request.pixel_shape == (1, 9, 64, 80, 3)
    assert (request.sampling.num_frames, request.sampling.fps) == (9, 12.5)
    own = Ask(
        ("a fox",), videos=(FILM,), video_fps=30.0, parameters={"num_frames": 5, "strength": 0.5}
    )
    request = build_request(own, film_description, settings)
    assert (request.sampling.num_frames, request.sampling.fps) == (5, 30.0)
    assert request.videos[0].shape == (5, 64, 128, 3), "the first ones"
    assert request.sampling.strength == 0.5


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (ask(videos=(FILM,), images=(PICTURE,)), "video: is not taken together with image; this"),
        (ask(last_images=(PICTURE,)), "last_image: needs an image"),
        (ask(), "image: is missing; this model does image-to-video, frames-to-video, video-to-vi"),
        (ask(videos=(FILM, FILM)), "video: has 2 elements; one is taken"),
        (ask("a", "b", videos=(FILM,)), "prompt: has 2 elements; this model does video-to-video f"),
        (ask(videos=(FILM[:16],)), "video: has 16 frames; this model takes a multiple of 4, plus "
         "1: name num_frames 13, and the first 13 are taken"),
        (ask(videos=(FILM,), num_frames=21), "num_frames: is 21, and the input video has 17"),
        (ask(videos=(FILM,), num_frames=16), "num_frames: must be a multiple of 4, plus 1"),
        (ask(videos=(FILM[:, :48],)), "video: has 128x48 pixels; this model needs at least 64"),
        (ask(videos=(FILM[:, :, :100],)), "width: must be a multiple of 16 for this model (the in"
         "put video has 100)"),
        (ask(videos=(FILM,), video_fps=1000.0), "fps: of the input video is 1000; name the one"),
        (ask(images=(PICTURE,), last_images=(TALL,)), "last_image: differs in size from image; n"),
        (ask(images=(PICTURE,), last_images=(PICTURE, PICTURE)), "last_image: has 2 elements for"),
        (ask(images=(PICTURE,), last_images=(PICTURE,), num_frames=1), "num_frames: is 1, and the"),
        (ask(videos=(FILM,), strength=0.01), "strength: 0.01 of 8 steps is less than one step"),
        (ask(strength=0.5, images=(PICTURE,)), "strength: SomeVideoPipeline does not take it for"),
    ],
)  # fmt: skip
def test_w15_what_is_wrong_with_an_input_video_or_frame_is_named(
    film_description: ModelDescription, settings: Settings, asked: Ask, problem: str
) -> None:
    assert str(refused(asked, film_description, settings)).startswith(problem)


def test_w15_a_model_of_two_frames_says_which_is_missing(
    film_description: ModelDescription, settings: Settings
) -> None:
    model = replace(film_description, tasks=(Task.FRAMES_TO_VIDEO,))
    error = refused(ask(images=(PICTURE,)), model, settings)
    assert str(error) == "last_image: is missing; this model does frames-to-video"


@pytest.mark.parametrize("name", ["num_frames", "fps"])
def test_video_parameters_say_why_a_model_of_pictures_refuses_them(
    description: ModelDescription, settings: Settings, name: str
) -> None:
    error = refused(ask(**{name: 5}), description, settings)
    assert str(error) == f"{name}: is for video models, and this one draws pictures"


@pytest.mark.parametrize("shape", [(48, 128), (64, 48)])
def test_w16_a_picture_below_the_least_side_is_refused(
    description: ModelDescription, settings: Settings, shape: tuple[int, int]
) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    error = refused(ask(images=(picture,)), description, settings)
    assert str(error).startswith(f"image: has {shape[1]}x{shape[0]} pixels; this model needs at le")
    low = replace(description, least_image_side=48)
    assert build_request(ask(images=(picture,)), low, settings).images


def test_a_picture_that_is_too_long_is_refused(
    description: ModelDescription, settings: Settings
) -> None:
    model = replace(description, most_image_ratio=2.0)
    assert build_request(ask(images=(PICTURE,)), model, settings).images
    long = np.zeros((144, 64, 3), np.uint8)
    error = refused(ask(images=(long,)), model, settings)
    assert str(error) == "image: has 64x144 pixels; this model takes sides of at most 2 to 1"


def test_pictures_of_several_prompts_have_one_size(
    description: ModelDescription, settings: Settings
) -> None:
    error = refused(ask("a", "b", images=(PICTURE, PICTURE[:, :64])), description, settings)
    assert str(error).startswith("image: differ in size; name width and height")


def test_a_model_that_sees_several_pictures_takes_them_for_one_prompt(
    description: ModelDescription, settings: Settings
) -> None:
    """They may differ in size, and copies of the one prompt may be asked for."""
    model = replace(
        description, unbatched=frozenset({Task.IMAGE_TO_IMAGE}), most_images_in=3
    )  # fmt: skip
    pictures = (PICTURE, PICTURE[:, :64], PICTURE)
    request = build_request(ask(images=pictures, num_images_per_prompt=2), model, settings)
    assert [each.shape for each in request.images] == [each.shape for each in pictures]
    assert request.pictures == 2
    assert (request.sampling.width, request.sampling.height) == (128, 64), "the first one's"
    assert refused(ask("a", "b", images=pictures), model, settings).field == "prompt"
    assert refused(ask(images=(PICTURE,) * 4), model, settings).field == "image"
    assert len(build_request(ask("a", "b"), model, settings).prompts) == 2


@pytest.mark.parametrize(("above", "scale", "cfg"), [(0.0, 0.5, True), (0.0, 0.0, False),
                                                     (1.0, 0.5, False)])  # fmt: skip
def test_w14_the_guidance_from_which_a_second_pass_runs_is_the_familys(
    description: ModelDescription, settings: Settings, above: float, scale: float, cfg: bool
) -> None:
    request = build_request(
        ask(guidance_scale=scale), replace(description, cfg_above=above), settings
    )
    assert request.cfg is cfg


@pytest.mark.parametrize(
    ("task", "asked", "default", "expected"),
    [
        (Task.TEXT_TO_IMAGE, None, "png", "png"),
        (Task.TEXT_TO_IMAGE, None, "webp", "webp"),
        (Task.TEXT_TO_IMAGE, "jpeg", "png", "jpeg"),
        (Task.TEXT_TO_VIDEO, None, "png", "mp4"),
        (Task.IMAGE_TO_VIDEO, None, "raw", "raw"),
        (Task.TEXT_TO_VIDEO, "raw", "png", "raw"),
    ],
)
def test_videos_and_pictures_have_formats_of_their_own(
    task: Task, asked: str | None, default: Any, expected: str
) -> None:
    assert output_format(task, asked, Settings(output_format=default)) == expected


@pytest.mark.parametrize(
    ("task", "asked", "problem"),
    [
        (Task.TEXT_TO_IMAGE, "mp4", "of pictures is one of png, jpeg, webp, avif, raw"),
        (Task.TEXT_TO_VIDEO, "png", "of videos is one of mp4, raw"),
    ],
)
def test_a_format_of_the_other_kind_is_refused(
    settings: Settings, task: Task, asked: str, problem: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"output_format: {problem}"):
        output_format(task, asked, settings)


def test_the_prompt_is_never_echoed(description: ModelDescription, settings: Settings) -> None:
    error = refused(ask("secret\0"), description, settings)
    assert "secret" not in str(error)


def test_a_pipeline_without_negative_prompts_gets_none(
    description: ModelDescription, settings: Settings
) -> None:
    task = Task.TEXT_TO_IMAGE
    plain = replace(
        description,
        accepted={**description.accepted, task: description.accepted[task] - {"negative_prompt"}},
    )
    assert build_request(ask(), plain, settings).negative_prompts is None
    error = refused(ask(negative_prompts=("x",)), plain, settings)
    assert error.field == "negative_prompt"


@pytest.mark.parametrize(
    ("guidance", "true_scale", "negatives", "embedded", "cfg"),
    [
        (2.0, None, ("x",), False, True),
        (2.0, None, None, False, True),
        (1.0, None, ("x",), False, False),
        (0.0, None, ("x",), False, False),
        (None, None, ("x",), False, False),
        (3.5, None, None, True, False),
        (3.5, 4.0, ("x",), True, True),
        (3.5, 4.0, None, True, False),
        (3.5, 1.0, ("x",), True, False),
        (None, 4.0, ("",), False, True),
    ],
)
def test_w14_cfg_is_on_exactly_when_diffusers_runs_two_passes(
    description: ModelDescription,
    settings: Settings,
    guidance: float | None,
    true_scale: float | None,
    negatives: tuple[str, ...] | None,
    embedded: bool,
    cfg: bool,
) -> None:
    """A true scale needs a negative prompt; a plain one does it alone above 1, unless guidance is
    an input of the denoiser."""
    accepted = frozenset({*description.accepted[Task.TEXT_TO_IMAGE], "true_cfg_scale"})
    model = replace(
        description,
        defaults=replace(
            description.defaults,
            guidance_scale=guidance,
            true_cfg_scale=true_scale,
            negative_prompt=None,
        ),
        accepted={Task.TEXT_TO_IMAGE: accepted},
        guidance_embedded=embedded,
    )
    request = build_request(ask(negative_prompts=negatives), model, settings)
    assert request.cfg is cfg
    assert request.shape.cfg is cfg
