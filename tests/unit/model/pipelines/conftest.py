"""A described model whose facts the tests can count on, and settings with the defaults."""

from dataclasses import replace

import pytest

from model.contract.sampling import FrameContract, ModelDescription, SamplingDefaults, Task
from model.settings import Settings

PLAIN = frozenset(
    {"negative_prompt", "width", "height", "num_inference_steps", "guidance_scale",
     "num_images_per_prompt"}
)  # fmt: skip


@pytest.fixture
def description() -> ModelDescription:
    """All three tasks; 16 pixels of alignment; guidance by a second pass."""
    return ModelDescription(
        pipeline="StableDiffusionPipeline",
        family="stable-diffusion-1",
        tasks=(Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.INPAINTING),
        defaults=SamplingDefaults(
            width=128, height=64, num_inference_steps=8, guidance_scale=2.0, negative_prompt="ugly"
        ),
        alignment=16,
        accepted={
            Task.TEXT_TO_IMAGE: PLAIN,
            Task.IMAGE_TO_IMAGE: PLAIN - {"width", "height"} | {"strength"},
            Task.INPAINTING: PLAIN | {"strength"},
        },
        cancellable=True,
        device="cpu",
        dtype="float32",
        revision="abc",
    )


@pytest.fixture
def video_description(description: ModelDescription) -> ModelDescription:
    """Makes videos of 4k + 1 frames, from a text or from one picture."""
    knobs = PLAIN | {"num_frames", "fps"}
    return replace(
        description,
        pipeline="SomeVideoPipeline",
        tasks=(Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO),
        own_tasks=2,
        defaults=replace(description.defaults, num_frames=17, fps=16.0),
        accepted={
            Task.TEXT_TO_VIDEO: knobs,
            Task.IMAGE_TO_VIDEO: knobs - {"num_images_per_prompt"},
        },
        frames=FrameContract(4),
        unbatched=frozenset({Task.IMAGE_TO_VIDEO}),
    )


@pytest.fixture
def film_description(video_description: ModelDescription) -> ModelDescription:
    """Makes videos of one frame, of the first and the last one, or of a video."""
    knobs = PLAIN - {"num_images_per_prompt"} | {"num_frames", "fps"}
    tasks = (Task.IMAGE_TO_VIDEO, Task.FRAMES_TO_VIDEO, Task.VIDEO_TO_VIDEO)
    return replace(
        video_description,
        tasks=tasks,
        own_tasks=3,
        accepted={**dict.fromkeys(tasks, knobs), Task.VIDEO_TO_VIDEO: knobs | {"strength"}},
        unbatched=frozenset(tasks),
    )


@pytest.fixture
def settings() -> Settings:
    return Settings()
