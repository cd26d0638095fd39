"""The table of families: true to diffusers, and without contradictions."""

import inspect
from dataclasses import fields
from typing import Any

import pytest

from model.contract.generation import Sampling
from model.contract.sampling import FrameContract, SamplingDefaults, Task
from model.pipelines.families import (
    FAMILIES,
    UNKNOWN,
    Family,
    Guidance,
    Pictures,
    PipelineClass,
    class_of,
    family_of,
    siblings_of,
)
from model.pipelines.signature import NAMES, call_name
from model.pipelines.vae import HOOKS

CLASSES = [(name, known, family) for family in FAMILIES for name, known in family.pipelines.items()]
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
each_class = pytest.mark.parametrize(
    ("name", "known", "family"), CLASSES, ids=[name for name, _, _ in CLASSES]
)


def parameters(name: str, method: str = "__call__") -> Any:
    import diffusers

    return inspect.signature(getattr(getattr(diffusers, name), method)).parameters


def test_no_class_and_no_name_belongs_to_two_families() -> None:
    assert len({name for name, _, _ in CLASSES}) == len(CLASSES)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


@each_class
def test_a_family_is_found_by_each_of_its_classes(
    name: str, known: PipelineClass, family: Family
) -> None:
    assert family_of(name) is family
    assert class_of(name) is known


@each_class
def test_only_the_leading_class_lends_its_components(
    name: str, known: PipelineClass, family: Family
) -> None:
    lead = next(iter(family.pipelines))
    lent = {other for other, each in family.pipelines.items() if each.sibling}
    assert siblings_of(name).keys() == (lent if name == lead else set())
    assert lead not in lent


def test_any_other_class_is_unknown_and_has_no_siblings() -> None:
    assert family_of("MysteryPipeline") is UNKNOWN
    assert class_of("MysteryPipeline") is None
    assert siblings_of("MysteryPipeline") == {}
    assert UNKNOWN.defaults == {}


@each_class
def test_w53_the_classes_are_those_of_diffusers(
    name: str, known: PipelineClass, family: Family
) -> None:
    """The tasks, the class and its call agree."""
    found = parameters(name)
    assert "prompt" in found
    assert ("image" in found) == any(task.takes_image for task in known.tasks)
    assert ("mask_image" in found) == (Task.INPAINTING in known.tasks)
    assert ("num_frames" in found) == known.tasks[0].makes_video
    assert known.fixed.keys() <= found.keys()
    assert known.hides <= found.keys()
    assert len(set(known.tasks)) == len(known.tasks)


@each_class
def test_w53_flags_are_those_of_the_leading_class(
    name: str, known: PipelineClass, family: Family
) -> None:
    flags = {*family.variants, *filter(None, (family.guidance_unless, known.sibling_if))}
    assert flags <= parameters(next(iter(family.pipelines)), "__init__").keys()


@each_family
def test_w10_defaults_are_values_that_the_call_takes(family: Family) -> None:
    """By the call's own names; every video has a number of frames and a rate."""
    found = frozenset(parameters(next(iter(family.pipelines))))
    defaults = {
        **family.defaults,
        **{k: v for each in family.variants.values() for k, v in each.items()},
    }
    assert defaults.keys() <= {each.name for each in fields(SamplingDefaults)}
    for name in defaults.keys() & NAMES.keys() - {"fps"}:
        assert call_name(name, found), name
    assert ("num_frames" in defaults) == ("fps" in defaults) == bool(family.frame_step)


@each_family
def test_w11_default_sizes_and_frames_fit(family: Family) -> None:
    for defaults in (family.defaults, *family.variants.values()):
        for name in ("width", "height"):
            assert defaults.get(name, 0) % max(16, family.alignment) == 0
        if family.frame_step:
            assert FrameContract(family.frame_step).fits(defaults.get("num_frames", 1))


@each_family
def test_w14_guidance_is_carried_by_a_parameter_that_has_a_default(family: Family) -> None:
    """A true scale has the negative prompt that it needs, and which must not be empty (W13)."""
    true_scale = family.guidance is Guidance.TRUE_SCALE
    assert ("true_cfg_scale" in family.defaults) == true_scale
    assert ("guidance_scale" in family.defaults) != true_scale
    assert bool(family.defaults.get("negative_prompt")) == true_scale


@each_family
def test_w16_several_pictures_are_for_calls_that_see_them_as_a_whole(family: Family) -> None:
    several = any(each.pictures is Pictures.ALL for each in family.pipelines.values())
    assert several == (family.most_images_in > 1)
    assert 1 <= family.images_in <= family.most_images_in
    assert family.least_image_side == 64


@each_family
def test_w52_hooks_are_known(family: Family) -> None:
    assert family.vae_hook in {"", *HOOKS}


def test_kontext_draws_the_size_that_is_asked_for() -> None:
    fixed = family_of("FluxKontextPipeline").pipelines["FluxKontextPipeline"].fixed
    sampling = Sampling(width=96, height=64, num_inference_steps=2)
    assert {name: value(sampling) for name, value in fixed.items()} == {
        "max_area": 96 * 64,
        "_auto_resize": False,
    }
