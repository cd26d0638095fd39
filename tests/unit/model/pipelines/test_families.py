"""The table of families: true to diffusers, and without contradictions."""

import inspect
from dataclasses import fields

import pytest

from model.contract.sampling import SamplingDefaults, Task
from model.pipelines.families import FAMILIES, UNKNOWN, Family, family_of, siblings_of

CLASSES = [(name, family) for family in FAMILIES for name in family.pipelines]
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
each_class = pytest.mark.parametrize(("name", "family"), CLASSES, ids=[name for name, _ in CLASSES])


def test_no_class_and_no_name_belongs_to_two_families() -> None:
    assert len({name for name, _ in CLASSES}) == len(CLASSES)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


@each_class
def test_a_family_is_found_by_each_of_its_classes(name: str, family: Family) -> None:
    assert family_of(name) is family
    assert family_of(name).pipelines.keys() - siblings_of(name).keys() == {name}


def test_any_other_class_is_unknown_and_has_no_siblings() -> None:
    assert family_of("MysteryPipeline") is UNKNOWN
    assert siblings_of("MysteryPipeline") == {}
    assert UNKNOWN.defaults == {}


@each_class
def test_the_classes_are_those_of_diffusers(name: str, family: Family) -> None:
    """The task, the class and its call agree."""
    import diffusers

    parameters = inspect.signature(getattr(diffusers, name).__call__).parameters
    task = family.pipelines[name]
    assert "prompt" in parameters
    assert ("image" in parameters) == (task is not Task.TEXT_TO_IMAGE)
    assert ("mask_image" in parameters) == (task is Task.INPAINTING)


@each_family
def test_w10_defaults_are_values_that_the_call_takes(family: Family) -> None:
    import diffusers

    assert family.defaults.keys() <= {each.name for each in fields(SamplingDefaults)}
    name = next(iter(family.pipelines))
    parameters = inspect.signature(getattr(diffusers, name).__call__).parameters
    assert family.defaults.keys() <= parameters.keys()


@each_family
def test_w11_default_sizes_are_aligned(family: Family) -> None:
    for name in ("width", "height"):
        assert family.defaults.get(name, 16) % 16 == 0


@each_family
def test_w14_a_true_scale_has_the_negative_prompt_that_it_needs(family: Family) -> None:
    assert ("true_cfg_scale" in family.defaults) == ("negative_prompt" in family.defaults)
