"""What a call takes, and what a class that is in no table seems to be for (W53)."""

from typing import Any

import pytest

from model.contract.sampling import Task
from model.errors import ModelNotLoadable
from model.pipelines import families
from model.pipelines.families import Family, Pictures, PipelineClass
from model.pipelines.parameters import BY_NAME
from model.pipelines.signature import NAMES, accepted, by_signature, call_name, unbatched


class DrawsFromText:
    def __call__(self, prompt: str, image: Any = None) -> None: ...


class DrawsFromPicture:
    def __call__(self, image: Any, prompt: str = "") -> None: ...


class Redraws:
    def __call__(self, prompt: Any = None, image: Any = None, strength: float = 0.8) -> None: ...


class Paints:
    def __call__(self, prompt: str, image: Any, mask_image: Any) -> None: ...


class PaintsPerhaps:
    def __call__(self, prompt: Any = None, image: Any = None, mask_image: Any = None) -> None: ...


class Films:
    def __call__(
        self,
        prompt: Any = None,
        num_frames: int = 9,
        num_videos_per_prompt: int = 1,
        frame_rate: int = 25,
    ) -> None: ...


class FilmsPicture:
    def __call__(self, image: Any, num_frames: int = 9, num_videos_per_prompt: int = 1) -> None: ...


class FilmsAgain:
    def __call__(
        self, video: Any = None, prompt: Any = None, strength: float = 0.8,
        num_videos_per_prompt: int = 1,
    ) -> None: ...  # fmt: skip


class FilmsBoth:
    def __call__(self, video: Any, image: Any, prompt: str) -> None: ...


class Needs:
    def __call__(self, prompt: str, audio: Any, depth: Any, *rest: Any, **named: Any) -> None: ...


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        (DrawsFromText, Task.TEXT_TO_IMAGE),
        (DrawsFromPicture, Task.IMAGE_TO_IMAGE),
        (Redraws, Task.IMAGE_TO_IMAGE),
        (Paints, Task.INPAINTING),
        (PaintsPerhaps, Task.INPAINTING),
        (Films, Task.TEXT_TO_VIDEO),
        (FilmsPicture, Task.IMAGE_TO_VIDEO),
        (FilmsAgain, Task.VIDEO_TO_VIDEO),
    ],
)
def test_w53_an_unknown_pipelines_task_follows_from_its_call(kind: type, task: Task) -> None:
    assert by_signature(kind()).tasks == (task,)


def test_w53_what_requests_do_not_have_is_named() -> None:
    with pytest.raises(ModelNotLoadable, match="Needs needs audio, depth, which requests do not"):
        by_signature(Needs())


def test_w15_a_class_that_edits_videos_is_taken_by_its_call() -> None:
    from diffusers import AnimateDiffVideoToVideoPipeline

    pipeline = AnimateDiffVideoToVideoPipeline.__new__(AnimateDiffVideoToVideoPipeline)
    assert by_signature(pipeline) == PipelineClass((Task.VIDEO_TO_VIDEO,), Pictures.ONE)


def test_w15_a_video_and_a_picture_are_not_asked_for_together() -> None:
    with pytest.raises(ModelNotLoadable, match="FilmsBoth needs a video and an image, which reque"):
        by_signature(FilmsBoth())


def test_w15_an_input_video_is_cut_to_frames_and_drawn_once() -> None:
    assert accepted(FilmsAgain(), Task.VIDEO_TO_VIDEO) == {"strength", "num_frames", "fps"}


def test_every_name_that_is_passed_on_is_a_request_parameter() -> None:
    assert NAMES.keys() - {"negative_prompt"} == {n for n, each in BY_NAME.items() if each.sampling}


@pytest.mark.parametrize(
    ("kind", "parameter", "name"),
    [
        (Films, "num_images_per_prompt", "num_videos_per_prompt"),
        (Films, "fps", "frame_rate"),
        (FilmsPicture, "fps", None),
        (Redraws, "strength", "strength"),
    ],
)
def test_a_parameter_goes_by_the_calls_own_name(
    kind: type, parameter: str, name: str | None
) -> None:
    import inspect

    known = frozenset(inspect.signature(kind.__call__).parameters)
    assert call_name(parameter, known) == name


def test_the_frame_rate_is_the_encoders_where_the_call_has_none() -> None:
    assert accepted(FilmsPicture(), Task.IMAGE_TO_VIDEO) == {"num_frames", "fps"}
    assert "fps" not in accepted(Redraws(), Task.IMAGE_TO_IMAGE)


def test_strength_and_copies_are_for_tasks_that_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = PipelineClass((Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO), Pictures.ONE)
    monkeypatch.setattr(families, "FAMILIES", (Family("test", {"Films": facts}),))
    known = {"num_images_per_prompt", "num_frames", "fps"}
    assert accepted(Films(), Task.TEXT_TO_VIDEO) == known
    assert accepted(Films(), Task.IMAGE_TO_VIDEO) == known - {"num_images_per_prompt"}
    assert accepted(Redraws(), Task.TEXT_TO_IMAGE) == set()
    assert accepted(Redraws(), Task.IMAGE_TO_IMAGE) == {"strength"}


@pytest.mark.parametrize(
    ("pictures", "expected"), [(Pictures.EACH, False), (Pictures.ALL, True), (Pictures.ONE, True)]
)
def test_prompts_share_a_call_where_it_tells_their_pictures_apart(
    pictures: Pictures, expected: bool
) -> None:
    facts = PipelineClass((Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE), pictures)
    assert unbatched(facts, Task.IMAGE_TO_IMAGE) is expected
    assert unbatched(facts, Task.TEXT_TO_IMAGE) is False
    assert unbatched(facts, Task.VIDEO_TO_VIDEO) is True
