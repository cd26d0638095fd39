"""The one request type and its shape; the defaults as requests name them."""

from dataclasses import replace

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import SamplingDefaults, Shape, Task

SAMPLING = Sampling(width=128, height=64, num_inference_steps=8)
REQUEST = GenerationRequest(
    id="a",
    task=Task.TEXT_TO_IMAGE,
    prompts=("a fox", "a ball"),
    sampling=SAMPLING,
    seeds=(1, 2, 3, 4),
    num_images_per_prompt=2,
)


def test_pictures_are_prompts_times_images() -> None:
    assert REQUEST.pictures == 4


def test_the_shape_holds_what_a_tuned_path_depends_on() -> None:
    assert REQUEST.shape == Shape(Task.TEXT_TO_IMAGE, width=128, height=64, batch=4, cfg=False)


def test_warmup_and_user_requests_of_one_shape_are_one_shape() -> None:
    """W20: what is warmed is what is served. Prompt, seeds and the mark do not count."""
    warmup = replace(REQUEST, id="b", prompts=("warmup",) * 2, seeds=(0,) * 4, warmup=True)
    assert warmup.shape == REQUEST.shape


def test_guidance_makes_another_shape() -> None:
    assert replace(REQUEST, cfg=True).shape == replace(REQUEST.shape, cfg=True)


def test_an_input_picture_makes_another_shape() -> None:
    assert replace(REQUEST, images=(object(), object())).shape.image_in
    assert not REQUEST.shape.image_in


def test_a_shape_reads_well() -> None:
    shape = REQUEST.shape
    assert str(shape) == "text-to-image 128x64 batch 4"
    assert str(replace(shape, cfg=True)) == "text-to-image 128x64 batch 4 cfg"
    assert str(replace(shape, frames=17)) == "text-to-image 128x64x17 batch 4"


def test_defaults_list_only_what_is_set() -> None:
    defaults = SamplingDefaults(
        width=128, height=64, num_inference_steps=8, sources={"width": "base"}
    )
    assert defaults.values() == {"width": 128, "height": 64, "num_inference_steps": 8}


def test_an_empty_negative_prompt_is_a_value() -> None:
    defaults = SamplingDefaults(
        width=128, height=64, num_inference_steps=8, negative_prompt="", guidance_scale=0.0
    )
    assert defaults.values()["negative_prompt"] == ""
    assert defaults.values()["guidance_scale"] == 0.0
