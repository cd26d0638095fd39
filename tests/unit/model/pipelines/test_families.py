"""The table of families: true to diffusers, and without contradictions."""

import inspect
from dataclasses import fields, replace
from typing import Any

import pytest

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import FrameContract, SamplingDefaults, Task
from model.errors import ModelNotLoadable
from model.pipelines.families import (
    FAMILIES,
    UNKNOWN,
    Family,
    Guidance,
    Pictures,
    PipelineClass,
    class_of,
    family_of,
    own_tasks_of,
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
    draws_frames = known.tasks[0].makes_video and Task.VIDEO_TO_VIDEO not in known.tasks
    assert ("num_frames" in found) == draws_frames
    assert (Task.VIDEO_TO_VIDEO in known.tasks) <= ("video" in found)
    ends = "last_image" in found or "frame_index" in known.fixed
    assert (Task.FRAMES_TO_VIDEO in known.tasks) == ends
    assert known.fixed.keys() <= found.keys()
    assert known.hides <= found.keys()
    assert len(set(known.tasks)) == len(known.tasks)


@each_class
def test_w53_flags_are_those_of_the_leading_class(
    name: str, known: PipelineClass, family: Family
) -> None:
    flags = {*family.variants, *filter(None, (family.guidance_unless, known.sibling_if))}
    assert flags <= parameters(next(iter(family.pipelines)), "__init__").keys()


@each_class
def test_w15_what_narrows_a_class_is_in_configurations(
    name: str, known: PipelineClass, family: Family
) -> None:
    """A name that nothing has would narrow nothing, in silence."""
    import diffusers

    for each in known.narrowed:
        assert set(each.tasks) < set(known.tasks)
        if each.component:
            kind = parameters(name, "__init__")[each.component].annotation
            # The annotation of an optional component is a union.
            kind = getattr(kind, "__args__", (kind,))[0]
            assert each.flag in inspect.signature(kind.__init__).parameters
        else:
            classes = [getattr(diffusers, other) for other in family.pipelines]
            assert any(each.flag in inspect.signature(kind).parameters for kind in classes)


@pytest.mark.parametrize(
    ("flags", "tasks"),
    [
        ({}, (Task.IMAGE_TO_VIDEO, Task.FRAMES_TO_VIDEO)),
        ({"expand_timesteps": True}, (Task.IMAGE_TO_VIDEO,)),
        ({"image_dim": 1280}, (Task.IMAGE_TO_VIDEO,)),
        ({"image_dim": 1280, "pos_embed_seq_len": 514}, (Task.FRAMES_TO_VIDEO,)),
    ],
)
def test_w15_the_weights_say_whether_one_picture_is_read_or_two(
    flags: dict[str, Any], tasks: tuple[Task, ...]
) -> None:
    known = class_of("WanImageToVideoPipeline")
    assert known
    asked = []

    def flag(component: str, name: str) -> Any:
        asked.append((component, name))
        return flags.get(name)

    assert own_tasks_of("WanImageToVideoPipeline", known, flag) == tasks
    assert set(asked) <= {
        ("", "expand_timesteps"), ("transformer", "image_dim"), ("transformer", "pos_embed_seq_len")
    }  # fmt: skip


def test_w15_weights_that_do_nothing_of_their_class_are_refused_by_name() -> None:
    known = class_of("WanVideoToVideoPipeline")
    assert known
    with pytest.raises(
        ModelNotLoadable, match=r"WanVideoToVideoPipeline does not .* boundary_ratio;"
    ):
        own_tasks_of("WanVideoToVideoPipeline", known, lambda _, name: name == "boundary_ratio")


def test_w15_two_frames_have_their_places_in_the_video() -> None:
    known = class_of("LTXConditionPipeline")
    assert known
    sampling = Sampling(width=96, height=64, num_inference_steps=2, num_frames=17)
    one = GenerationRequest("a", Task.IMAGE_TO_VIDEO, ("a fox",), sampling, seeds=(1,))
    two = replace(one, task=Task.FRAMES_TO_VIDEO, last_images=(None,))
    assert {name: value(one) for name, value in known.fixed.items()} == {
        "frame_index": None,
        "video": None,
    }
    assert {name: value(two) for name, value in known.fixed.items()} == {
        "frame_index": [0, 16],
        "video": [None, None],
    }


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
            contract = FrameContract(family.frame_step * family.latent_frames)
            assert contract.fits(defaults.get("num_frames", 1))


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
    request = GenerationRequest("a", Task.TEXT_TO_IMAGE, ("a fox",), sampling, seeds=(1,))
    assert {name: value(request) for name, value in fixed.items()} == {
        "max_area": 96 * 64,
        "_auto_resize": False,
    }
