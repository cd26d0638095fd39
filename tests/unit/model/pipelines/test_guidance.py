"""W14: with ``--cfg-parallel`` every request runs both passes; a model without them is refused."""

from dataclasses import replace
from typing import Any

import pytest

from model.contract.sampling import ModelDescription, Task
from model.errors import InvalidRequest, InvalidSettings, ModelNotLoadable
from model.pipelines.families import FAMILIES, Branches
from model.pipelines.guidance import check_divisible, check_guided
from model.pipelines.requests import Ask, build_request
from model.settings import Settings

DIVIDED = Settings(cfg_parallel=True)
T2I = Task.TEXT_TO_IMAGE


def true_scale(model: ModelDescription, pipeline: str, **defaults: Any) -> ModelDescription:
    """A model whose second pass hangs on true_cfg_scale, without a negative prompt of its own."""
    return replace(
        model,
        pipeline=pipeline,
        guidance_embedded=True,
        accepted={task: found | {"true_cfg_scale"} for task, found in model.accepted.items()},
        defaults=replace(model.defaults, negative_prompt=None, **defaults),
    )


def test_w14_an_empty_negative_prompt_is_filled_in_where_the_second_pass_needs_one(
    description: ModelDescription,
) -> None:
    model = true_scale(description, "FluxPipeline", true_cfg_scale=4.0)
    ask = Ask(prompts=("a fox", "a cat"))
    assert not build_request(ask, model, Settings()).cfg
    request = build_request(ask, model, DIVIDED)
    assert request.cfg
    assert request.negative_prompts == (" ", " "), "Qwen-Image-Edit cannot take no character"
    own = build_request(replace(ask, negative_prompts=("ugly",)), model, DIVIDED)
    assert own.negative_prompts == ("ugly", "ugly")


def test_w14_a_plain_scale_needs_no_negative_prompt_and_gets_none(
    description: ModelDescription,
) -> None:
    """SDXL draws another picture for an empty one than for none."""
    model = replace(description, defaults=replace(description.defaults, negative_prompt=None))
    request = build_request(Ask(prompts=("a fox",)), model, DIVIDED)
    assert request.cfg
    assert request.negative_prompts is None


def test_w14_a_request_without_guidance_is_refused_naming_what_turns_it_on(
    description: ModelDescription,
) -> None:
    plain = Ask(prompts=("a fox",), parameters={"guidance_scale": 1})
    assert not build_request(plain, description, Settings()).cfg
    with pytest.raises(InvalidRequest, match=r"guidance_scale: must be above 1: .*--cfg-parallel"):
        build_request(plain, description, DIVIDED)
    off = Ask(prompts=("a fox",), parameters={"guidance_scale": 0})
    with pytest.raises(InvalidRequest, match="guidance_scale: must be above 0: "):
        build_request(off, replace(description, cfg_above=0.0), DIVIDED)
    model = true_scale(description, "QwenImagePipeline", true_cfg_scale=4.0)
    with pytest.raises(InvalidRequest, match="true_cfg_scale: must be above 1"):
        build_request(replace(plain, parameters={"true_cfg_scale": 1}), model, DIVIDED)


@pytest.mark.parametrize(
    "pipeline",
    [name for each in FAMILIES if each.branches is not Branches.NONE for name in each.pipelines],
)
def test_w21_classes_of_two_passes_are_taken(pipeline: str) -> None:
    check_divisible(pipeline)


@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [
        ("Flux2Pipeline", "its guidance is an input of the denoiser"),
        ("SanaPipeline", "the class is in no table of Kiln's"),
    ],
)
def test_w21_other_classes_are_refused_by_name_with_the_list_of_what_can(
    pipeline: str, reason: str
) -> None:
    with pytest.raises(ModelNotLoadable) as caught:
        check_divisible(pipeline)
    told = str(caught.value)
    assert told.startswith(f"--cfg-parallel: {pipeline}: {reason}")
    assert "leave the setting out" in told
    assert "stable-diffusion-xl" in told
    assert "qwen-image, " in told
    assert "flux-2," not in told


def test_w14_a_model_whose_requests_are_guided_is_taken(description: ModelDescription) -> None:
    check_guided(description, {})
    check_guided(true_scale(description, "QwenImagePipeline", true_cfg_scale=4.0), {})
    flux = true_scale(description, "FluxPipeline")
    check_guided(flux, {"true_cfg_scale": 3.5})
    check_guided(replace(flux, defaults=replace(flux.defaults, true_cfg_scale=2.0)), {})


def test_w21_a_guided_model_of_no_family_is_refused_by_its_description(
    description: ModelDescription,
) -> None:
    """As ``python -m model plan`` knows it."""
    with pytest.raises(ModelNotLoadable, match="SanaPipeline: the class is in no table"):
        check_guided(replace(description, pipeline="SanaPipeline"), {})


def test_w14_a_distilled_model_is_refused_with_the_reason(description: ModelDescription) -> None:
    with pytest.raises(InvalidSettings) as caught:
        check_guided(true_scale(description, "FluxPipeline"), {})
    assert str(caught.value) == (
        "cfg_parallel: FluxPipeline draws in one pass unless true_cfg_scale is above 1, and this "
        "model's own is not set: leave the setting out, or name one in the model's "
        "generation_config.json, or in --warmup-sampling-params"
    )
    distilled = replace(description, pipeline="Flux2KleinPipeline", guidance_embedded=True)
    with pytest.raises(InvalidSettings, match="is distilled: its guidance runs no second pass"):
        check_guided(distilled, {})


def test_w14_a_default_that_draws_in_one_pass_is_refused(description: ModelDescription) -> None:
    model = replace(
        description,
        pipeline="ZImagePipeline",
        cfg_above=0.0,
        defaults=replace(description.defaults, guidance_scale=0.0),
    )
    with pytest.raises(InvalidSettings, match=r"guidance_scale is above 0, and this model's own"):
        check_guided(model, {})
    check_guided(model, {"guidance_scale": 3.0})
    with pytest.raises(InvalidSettings, match="this model's own is 1"):
        check_guided(description, {"guidance_scale": 1})
