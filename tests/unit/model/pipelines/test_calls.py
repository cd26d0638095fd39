"""One call of a pipeline: its arguments, its pixels, and that nothing of it stays behind."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Task
from model.errors import GenerationFailed
from model.pipelines import families
from model.pipelines.calls import arguments, run
from model.pipelines.families import Family, Pictures, PipelineClass

REQUEST = GenerationRequest(
    id="a",
    task=Task.TEXT_TO_IMAGE,
    prompts=("a fox", "a ball"),
    sampling=Sampling(width=4, height=2, num_inference_steps=3, guidance_scale=0.0, strength=0.5),
    seeds=(1, 2),
    negative_prompts=("", ""),
)


class FakePipeline:
    """Takes what a text-to-image pipeline takes; draws ``images``, and says when it is tidied."""

    device = torch.device("cpu")

    def __init__(self, images: Any, raises_at: int | None = None) -> None:
        self.images = images
        self.raises_at = raises_at
        self.latents = torch.zeros(1)
        self.flagged: list[bool] | None = None
        self._interrupt = True
        self.freed = 0

    def __call__(
        self,
        prompt: Any = None,
        negative_prompt: Any = None,
        width: int = 0,
        height: int = 0,
        num_inference_steps: int = 0,
        guidance_scale: float = 7.5,
        num_images_per_prompt: int = 1,
        generator: Any = None,
        output_type: str = "pil",
        callback_on_step_end: Any = None,
    ) -> Any:
        assert torch.is_inference_mode_enabled()
        for index in range(num_inference_steps):
            if index == self.raises_at:
                raise ValueError("broken")
            tensors = {"latents": self.latents}
            assert callback_on_step_end(self, index, 0, tensors) is tensors
        return SimpleNamespace(images=self.images, nsfw_content_detected=self.flagged)

    def maybe_free_model_hooks(self) -> None:
        self.freed += 1


def drawn(images: Any) -> Any:
    return run(FakePipeline(images), REQUEST, lambda step, of: None).pixels


def test_only_what_the_call_knows_is_passed() -> None:
    found = arguments(FakePipeline(None), REQUEST, None)
    assert found.keys() == {
        "prompt", "negative_prompt", "width", "height", "num_inference_steps", "guidance_scale",
        "num_images_per_prompt", "generator", "output_type",
    }  # fmt: skip
    assert found["guidance_scale"] == 0.0, "zero is a value"
    assert found["negative_prompt"] == ["", ""], "and so is an empty text"
    assert found["prompt"] == ["a fox", "a ball"]


def test_what_is_unset_is_left_to_the_pipelines_own_signature() -> None:
    bare = replace(
        REQUEST, negative_prompts=None, sampling=replace(REQUEST.sampling, guidance_scale=None)
    )
    found = arguments(FakePipeline(None), bare, None)
    assert found.keys().isdisjoint({"negative_prompt", "guidance_scale"})


def test_each_picture_has_its_own_generator() -> None:
    """So that a seed's noise is the same in any batch."""
    found = arguments(FakePipeline(None), REQUEST, None)["generator"]
    assert [each.initial_seed() for each in found] == [1, 2]


def test_strength_is_for_requests_with_a_picture() -> None:
    def call(image: Any = None, strength: float = 0.8) -> None: ...

    takes = SimpleNamespace(__call__=call)
    assert arguments(takes, REQUEST, None) == {}
    found = arguments(takes, replace(REQUEST, images=(np.zeros((2, 4, 3), np.uint8),)), None)
    assert found["strength"] == 0.5
    assert found["image"][0].size == (4, 2)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_pixels_are_rounded_and_bounded(kind: torch.dtype) -> None:
    images = torch.zeros((2, 3, 2, 4), dtype=kind)
    images[0, 0], images[0, 1], images[0, 2] = 1.0, 1.5, -0.5
    images[1] = 0.5
    pixels = drawn(images)
    assert pixels.shape == (2, 2, 4, 3)
    assert pixels.dtype == np.uint8
    assert (pixels[0] == [255, 255, 0]).all()
    assert (pixels[1] == 128).all()


def test_every_byte_survives_the_way_through_floats() -> None:
    images = torch.arange(256).reshape(1, 1, 16, 16).expand(1, 3, 16, 16) / 255
    assert (drawn(images)[0, ..., 0].ravel() == np.arange(256)).all()


def test_pictures_that_a_safety_checker_made_numpy_are_read_too() -> None:
    pixels = drawn([np.zeros((2, 4, 3), np.float32), np.ones((2, 4, 3), np.float32)])
    assert pixels.shape == (2, 2, 4, 3)
    assert (pixels[0].max(), pixels[1].min()) == (0, 255)


def test_hidden_pictures_are_noted_by_place() -> None:
    pipeline = FakePipeline(torch.zeros((2, 3, 2, 4)))
    assert run(pipeline, REQUEST, lambda step, of: None).notes == {}
    pipeline.flagged = [False, True]
    assert run(pipeline, REQUEST, lambda step, of: None).notes == {"hidden_by_safety_checker": "1"}


def test_steps_are_told_from_1_and_timed() -> None:
    told: list[tuple[int, int]] = []
    done = run(
        FakePipeline(torch.zeros((2, 3, 2, 4))), REQUEST, lambda *step: told.append(step)
    )  # fmt: skip
    assert told == [(1, 3), (2, 3), (3, 3)]
    timings = done.timings
    assert len(timings.steps) == 3
    parts = timings.prepare + sum(timings.steps) + timings.decode
    assert parts == pytest.approx(timings.total)


def test_steps_are_as_many_as_the_scheduler_makes_of_them() -> None:
    """Strength takes some away; a scheduler of second order counts most of them twice."""
    pipeline = FakePipeline(torch.zeros((2, 3, 2, 4)))
    pipeline._num_timesteps = 5
    told: list[tuple[int, int]] = []
    run(pipeline, REQUEST, lambda *step: told.append(step))
    assert told == [(1, 5), (2, 5), (3, 5)]


VIDEO = replace(
    REQUEST,
    task=Task.TEXT_TO_VIDEO,
    sampling=replace(REQUEST.sampling, num_frames=5, fps=16.0, strength=None),
)


class FakeVideoPipeline(FakePipeline):
    def __call__(  # type: ignore[override]
        self,
        prompt: Any = None,
        num_frames: int = 81,
        frame_rate: float = 25,
        num_videos_per_prompt: int = 1,
        output_type: str = "np",
    ) -> Any:
        return SimpleNamespace(frames=self.images)


def test_videos_keep_their_frames() -> None:
    frames = torch.zeros((2, 5, 3, 2, 4))
    frames[1, 4, 2] = 1.0
    pixels = run(FakeVideoPipeline(frames), VIDEO, lambda step, of: None).pixels
    assert pixels.shape == (2, 5, 2, 4, 3)
    assert (pixels[1, 4] == [0, 0, 255]).all()
    assert not pixels[0].any()
    assert not pixels[1, :4].any()


def test_a_video_call_gets_its_own_names() -> None:
    found = arguments(FakeVideoPipeline(None), replace(VIDEO, num_images_per_prompt=2), None)
    assert found == {
        "prompt": ["a fox", "a ball"],
        "num_frames": 5,
        "frame_rate": 16.0,
        "num_videos_per_prompt": 2,
        "output_type": "pt",
    }


class TakesPicture:
    def __call__(
        self,
        prompt: Any,
        image: Any,
        mask_image: Any = None,
        num_images_per_prompt: int = 1,
        max_area: int = 1,
        strength: float = 0.5,
    ) -> None: ...


PICTURES = tuple(np.full((2, 4, 3), value, np.uint8) for value in (10, 20))
WITH_PICTURES = replace(REQUEST, images=PICTURES, num_images_per_prompt=2)


def shades(found: Any) -> list[int]:
    return [each.getpixel((0, 0))[0] for each in found]


def test_each_copy_of_a_picture_keeps_its_prompt() -> None:
    """Some calls order the pictures of several prompts otherwise than the copies of these."""
    masks = tuple(each[..., 0] for each in PICTURES)
    found = arguments(TakesPicture(), replace(WITH_PICTURES, masks=masks), None)
    assert found["prompt"] == ["a fox", "a fox", "a ball", "a ball"]
    assert shades(found["image"]) == [10, 10, 20, 20]
    assert [each.getpixel((0, 0)) for each in found["mask_image"]] == [10, 10, 20, 20]
    assert found["num_images_per_prompt"] == 1


@pytest.mark.parametrize("taken", [Pictures.ALL, Pictures.ONE])
def test_pictures_of_one_prompt_are_a_list_or_a_single_one(
    monkeypatch: pytest.MonkeyPatch, taken: Pictures
) -> None:
    facts = PipelineClass(
        (Task.IMAGE_TO_IMAGE,), taken, hides=frozenset({"strength"}),
        fixed={"max_area": lambda request: request.sampling.width * request.sampling.height},
    )  # fmt: skip
    monkeypatch.setattr(families, "FAMILIES", (Family("test", {"TakesPicture": facts}),))
    one = replace(WITH_PICTURES, prompts=("a fox",))
    found = arguments(TakesPicture(), one, None)
    assert found["prompt"] == ["a fox"]
    assert found["num_images_per_prompt"] == 2
    if taken is Pictures.ALL:
        assert shades(found["image"]) == [10, 20]
    else:
        assert shades([found["image"]]) == [10]
    assert found["max_area"] == 8
    assert "strength" not in found


class CountingScheduler:
    """Keeps something that no call resets."""

    def __init__(self) -> None:
        self.used = 0


@pytest.mark.parametrize("broken_by", ["nothing", "callback"])
def test_w53_every_call_has_a_scheduler_as_it_was_loaded(broken_by: str) -> None:
    pipeline = FakePipeline(torch.zeros((2, 3, 2, 4)))
    kept = pipeline.scheduler = CountingScheduler()
    seen: list[int] = []

    def on_step(step: int, of: int) -> None:
        seen.append(pipeline.scheduler.used)
        pipeline.scheduler.used += 1

    def cancelling(step: int, of: int) -> None:
        on_step(step, of)
        raise ValueError("cancelled")

    if broken_by == "callback":
        with pytest.raises(ValueError, match="cancelled"):
            run(pipeline, REQUEST, cancelling)
        seen.clear()
    for _ in range(2):
        run(pipeline, REQUEST, on_step)
        assert seen == [0, 1, 2]
        seen.clear()
    assert pipeline.scheduler is kept
    assert kept.used == 0


@pytest.mark.parametrize("broken_by", ["pipeline", "callback"])
def test_a_call_that_breaks_off_leaves_the_pipeline_as_it_was(broken_by: str) -> None:
    pipeline = FakePipeline(
        torch.zeros((2, 3, 2, 4)), raises_at=1 if broken_by == "pipeline" else None
    )

    def on_step(step: int, of: int) -> None:
        if broken_by == "callback":
            raise ValueError("cancelled")

    with pytest.raises(ValueError, match=r"broken|cancelled"):
        run(pipeline, REQUEST, on_step)
    assert pipeline._interrupt is False
    assert pipeline.freed == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("warmup", [True, False])
def test_w25_a_picture_with_nan_or_infinity_is_a_failure_for_everybody(
    value: float, warmup: bool
) -> None:
    images = torch.ones((2, 3, 2, 4))
    images[1, 2, 1, 3] = value
    request = replace(REQUEST, warmup=warmup)
    with pytest.raises(GenerationFailed, match=r"pixels hold NaN or infinity.*float32"):
        run(FakePipeline(images), request, lambda step, of: None)
    fine = FakePipeline(torch.ones((2, 3, 2, 4)))
    fine.latents = torch.tensor([0.0, value])
    with pytest.raises(GenerationFailed, match="latents hold NaN or infinity"):
        run(fine, request, lambda step, of: None)
    assert fine.freed == 1, "and the pipeline is as it was"


def test_w25_a_black_picture_proves_nothing_and_is_the_users_if_they_get_one() -> None:
    images = torch.ones((2, 3, 2, 4))
    images[1] = 0
    black = FakePipeline(images)
    warming = replace(REQUEST, warmup=True)
    assert not run(black, REQUEST, lambda step, of: None).pixels[1].any()
    with pytest.raises(GenerationFailed, match="all black"):
        run(black, warming, lambda step, of: None)
    black.flagged = [False, True]
    notes = run(black, warming, lambda step, of: None).notes
    assert notes == {"hidden_by_safety_checker": "1"}, "blackened on purpose"


class FakeFilms:
    """Takes what calls of videos take."""

    def __call__(
        self,
        prompt: Any = None,
        image: Any = None,
        last_image: Any = None,
        video: Any = None,
        strength: float = 0.8,
    ) -> None: ...


class FakePlaces:
    """Takes several pictures, with their places."""

    def __call__(self, image: Any = None, frame_index: Any = 0) -> None: ...


FILM = np.arange(2 * 2 * 4 * 3, dtype=np.uint8).reshape(2, 2, 4, 3)


def test_w15_a_video_is_its_frames_and_a_last_frame_is_the_calls_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = PipelineClass((Task.VIDEO_TO_VIDEO, Task.FRAMES_TO_VIDEO), Pictures.ONE)
    known = Family("test", {"FakeFilms": facts, "FakePlaces": facts})
    monkeypatch.setattr(families, "FAMILIES", (known,))
    film = replace(REQUEST, task=Task.VIDEO_TO_VIDEO, prompts=("a fox",), videos=(FILM,))
    found = arguments(FakeFilms(), film, None)
    assert [np.asarray(each).tolist() for each in found["video"]] == FILM.tolist()
    assert "image" not in found
    assert found["strength"] == 0.5
    ends = replace(film, videos=(), images=(FILM[0],), last_images=(FILM[1],))
    found = arguments(FakeFilms(), ends, None)
    assert np.array_equal(np.asarray(found["image"]), FILM[0])
    assert np.array_equal(np.asarray(found["last_image"]), FILM[1])
    found = arguments(FakePlaces(), ends, None)
    assert [np.asarray(each).tolist() for each in found["image"]] == FILM.tolist()
