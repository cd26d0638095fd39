"""W53: every family end to end, by a tiny pipeline of the real classes with random weights: saved,
loaded, warmed up by its own plan, and asked for each of its tasks, at two sizes.

The engine's parts run in this process; servers of some families are in ``test_servers``.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusion3InpaintPipeline,
    UniPCMultistepScheduler,
)

from model.contract.generation import GenerationRequest
from model.contract.sampling import Task
from model.pipelines.branches import denoisers, divide
from model.pipelines.calls import run
from model.pipelines.families import FAMILIES as TABLE
from model.pipelines.families import Branches, family_of
from model.pipelines.inspection import describe_folder
from model.pipelines.loader import LoadedModel, load
from model.pipelines.location import locate
from model.pipelines.previews import Previewing, looked_at
from model.pipelines.requests import Ask, build_request
from model.settings import Settings
from model.warmup.plan import build_plan
from tests.integration.families import tiny, vision
from tests.integration.families.conftest import FRAMES

SIDE: Final = 64
STEPS: Final = 2
SETTINGS: Final = Settings()
DIVIDED: Final = Settings(cfg_parallel=True)
# Of 255: a matrix product of another size rounds otherwise.
ROUNDING: Final = 2

T2I, I2I, INPAINT = Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.INPAINTING
T2V, I2V = Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO
F2V, V2V = Task.FRAMES_TO_VIDEO, Task.VIDEO_TO_VIDEO
PICTURES: Final = (T2I, I2I, INPAINT)


@dataclass(frozen=True)
class Expected:
    """What is made, and what Kiln must find out about it. ``own``: tasks of the class itself.
    ``cfg``: the default request runs a second pass. ``embedded``: no guidance_scale ever does.
    ``frames``: the step of the contract. ``guided``: what makes a request run two passes; None
    where nothing does.
    """

    make: Callable[[], Any]
    name: str
    tasks: tuple[Task, ...]
    own: int = 1
    cfg: bool = True
    embedded: bool = False
    alignment: int = 16
    frames: int | None = None
    registered: bool = True
    defaults: dict[str, Any] = field(default_factory=dict)
    guided: dict[str, Any] | None = field(default_factory=dict)


TRUE_CFG: Final = {"true_cfg_scale": 3.0}
FAMILIES: Final = {
    "stable diffusion 1.5": Expected(tiny.stable_diffusion, "stable-diffusion-1", PICTURES),
    "SDXL": Expected(tiny.stable_diffusion_xl, "stable-diffusion-xl", PICTURES),
    "SD3": Expected(tiny.stable_diffusion_3, "stable-diffusion-3", PICTURES),
    "FLUX.1": Expected(
        tiny.flux, "flux-1", PICTURES, cfg=False, embedded=True, guided=TRUE_CFG
    ),
    "FLUX.1 Kontext": Expected(
        tiny.flux_kontext,
        "flux-1-kontext",
        (I2I, T2I),
        own=2,
        cfg=False,
        embedded=True,
        guided=TRUE_CFG,
    ),
    "FLUX.2 klein": Expected(tiny.flux_2_klein, "flux-2-klein", (T2I, I2I), own=2),
    "FLUX.2 klein, distilled": Expected(
        lambda: tiny.flux_2_klein(is_distilled=True),
        "flux-2-klein",
        (T2I, I2I),
        own=2,
        cfg=False,
        embedded=True,
        defaults={"num_inference_steps": 4, "guidance_scale": 1.0},
        guided=None,
    ),
    "Z-Image": Expected(
        tiny.z_image, "z-image", PICTURES, cfg=False, guided={"guidance_scale": 2.0}
    ),
    "Qwen-Image": Expected(tiny.qwen_image, "qwen-image", PICTURES),
    "FLUX.2": Expected(
        vision.flux_2, "flux-2", (T2I, I2I), own=2, cfg=False, embedded=True, guided=None
    ),
    "Qwen-Image-Edit": Expected(vision.qwen_image_edit, "qwen-image-edit", (I2I,)),
    "Qwen-Image-Edit-Plus": Expected(vision.qwen_image_edit_plus, "qwen-image-edit-plus", (I2I,)),
    "Wan I2V": Expected(vision.wan_image_to_video, "wan", (I2V,), frames=4),
    "Wan, of two frames": Expected(vision.wan_frames_to_video, "wan", (F2V,), frames=4),
    "Wan 2.2 I2V": Expected(
        vision.wan_of_one_frame_or_two, "wan", (I2V, F2V), own=2, frames=4
    ),
    "Wan V2V": Expected(tiny.wan_video_to_video, "wan", (V2V,), frames=4),
    "Wan 2.2, both tasks": Expected(
        lambda: tiny.wan(expand_timesteps=True),
        "wan",
        (T2V, I2V),
        frames=4,
        defaults={"fps": 24.0},
    ),
    "Wan T2V": Expected(tiny.wan, "wan", (T2V, V2V), frames=4, defaults={"fps": 16.0}),
    "CogVideoX": Expected(
        tiny.cogvideox, "cogvideox", (T2V, V2V), frames=8, defaults={"fps": 8.0}
    ),
    "CogVideoX I2V": Expected(tiny.cogvideox_image_to_video, "cogvideox", (I2V,), frames=8),
    "LTX-Video": Expected(
        tiny.ltx_video, "ltx-video", (T2V, I2V), frames=8, alignment=32, defaults={"fps": 25.0}
    ),
    "LTX-Video, conditioned": Expected(
        tiny.ltx_condition, "ltx-video", (T2V, I2V, F2V), own=3, frames=8, alignment=32
    ),
}  # fmt: skip


@pytest.fixture
def loaded(saved: Callable[..., Path]) -> Callable[..., LoadedModel]:
    """Loads a pipeline as the engine does, from its folder."""
    return lambda make: load(locate(str(saved(make))), "cpu", "auto")


def picture(width: int, height: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def film(width: int) -> Any:
    return np.random.default_rng(1).integers(0, 256, (FRAMES, SIDE, width, 3), np.uint8)


def asked(
    model: LoadedModel, task: Task, width: int = SIDE, settings: Settings = SETTINGS, **knobs: Any
) -> GenerationRequest:
    """Seed 7, two steps, whole strength: an input picture leaves its mark in every step. Of a video
    nothing would be left."""
    image = picture(width, SIDE)
    whole = 0.5 if task is V2V else 1.0
    strength = {"strength": whole} if "strength" in model.description.accepted[task] else {}
    ask = Ask(
        prompts=("a red fox",),
        images=(image,) if task.takes_image else (),
        masks=(image[..., 0],) if task is INPAINT else (),
        last_images=(255 - image,) if task is F2V else (),
        videos=(film(width),) if task is V2V else (),
        parameters={"width": width, "height": SIDE, "seed": 7, "num_inference_steps": STEPS}
        | strength | knobs,
    )  # fmt: skip
    return build_request(ask, model.description, settings)


def drawn(model: LoadedModel, request: GenerationRequest) -> Any:
    found = run(model.pipelines[request.task], request, lambda step, of: None).pixels
    assert (found.shape, found.dtype) == (request.pixel_shape, np.uint8)
    assert found.std() > 1, "not of one colour"
    return found


def assert_previewed(model: LoadedModel, request: GenerationRequest, final: Any) -> None:
    """A look at the latents after the last step is the picture itself, as the pipeline's own call
    makes it of them; and who looks on changes nothing."""
    pipeline = model.pipelines[request.task]
    shown: list[Any] = []

    class Looking(Previewing):
        def after_step(self, step: int, of: int, latents: Any) -> bool:
            if step == of:
                with as_its_call_decodes(pipeline):
                    shown.append(looked_at(pipeline, request, latents))
            return super().after_step(step, of, latents)

    looking = Looking(
        pipeline, replace(request, previews=1), lambda index, step, of, pixels: shown.append(pixels)
    )
    again = run(pipeline, request, lambda step, of: None, looking).pixels
    assert np.array_equal(again, final), f"{request.task}: looked at, it is another"
    preview, last = shown
    assert (preview.shape, preview.dtype) == (request.pixel_shape, np.uint8)
    assert np.array_equal(last, final), f"{request.task}: a look at the last step"


@contextlib.contextmanager
def as_its_call_decodes(pipeline: Any) -> Iterator[None]:
    """diffusers' inpainting of SD3 leaves the shift of the VAE out at the end."""
    if not isinstance(pipeline, StableDiffusion3InpaintPipeline):
        yield
        return
    vae = pipeline.vae
    shift = vae.config.shift_factor
    vae.register_to_config(shift_factor=None)
    try:
        yield
    finally:
        vae.register_to_config(shift_factor=shift)


class Cancelled(Exception):
    pass


def cancelled(model: LoadedModel, request: GenerationRequest) -> None:
    def stop(step: int, of: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run(model.pipelines[request.task], request, stop)


def state(model: LoadedModel) -> list[str]:
    """All that a scheduler keeps, and how the pipelines are set up."""
    return [
        repr((sorted(vars(each.scheduler).items(), key=str), dict(each.config)))
        for each in model.pipelines.values()
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_w21_w53_family(saved: Callable[..., Path], name: str) -> None:
    expected = FAMILIES[name]
    folder = locate(str(saved(expected.make)))
    model = load(folder, "cpu", "auto")
    about = model.description
    told = replace(describe_folder(folder), device="cpu", dtype="float32")
    assert replace(told, load_seconds=about.load_seconds) == about, "known before it is loaded"
    assert (about.family, about.registered) == (expected.name, expected.registered)
    assert (about.tasks, about.own_tasks) == (expected.tasks, expected.own)
    assert about.alignment == expected.alignment
    assert about.guidance_embedded == expected.embedded
    assert (about.frames.step if about.frames else None) == expected.frames
    assert about.defaults.values().items() >= expected.defaults.items()
    assert (family_of(about.pipeline).latents is None) == (about.frames is not None)
    before = state(model)

    cold = {task: drawn(model, asked(model, task)) for task in about.tasks}
    for task in about.tasks if about.frames is None else ():
        assert_previewed(model, asked(model, task), cold[task])
    plan = build_plan(about, SETTINGS)
    assert plan[0].task is about.tasks[0]
    assert {each.cfg for each in plan} == {expected.cfg}
    for planned in plan:
        drawn(model, replace(planned, deadline=None))
    for task in about.tasks:
        wider = asked(model, task, width=SIDE + about.alignment, seed=8)
        drawn(model, wider)
        cancelled(model, wider)
        request = asked(model, task)
        given = (*request.images, *request.masks, *request.last_images, *request.videos)
        copies = [each.copy() for each in given]
        again = drawn(model, request)
        assert np.array_equal(again, cold[task]), f"{task}: the same seed, after other requests"
        for each, copy in zip(given, copies, strict=True):
            assert np.array_equal(each, copy), f"{task}: the request's own picture was written to"
        # W15: each input counts.
        for name in ("last_images", "videos"):
            if kept := getattr(request, name):
                other = replace(request, **{name: (255 - kept[0],)})
                assert not np.array_equal(drawn(model, other), again), f"{task}: {name}"
    assert state(model) == before
    if expected.guided is not None:
        assert_divides(model, expected.guided)


class SecondRank:
    """W21: the second rank's part of the work, in this process. Real ranks are in ``test_ranks``.
    ``calls`` counts what it computed, and ``ours`` what the first rank did."""

    def __init__(self, parts: dict[str, Any]) -> None:
        self._parts = {name: part.forward for name, part in parts.items()}
        self._asked: Any = None
        self.calls = self.ours = 0
        for part in parts.values():
            part.forward = self._counted(part.forward)

    def _counted(self, forward: Any) -> Any:
        @functools.wraps(forward)
        def call(*given: Any, **named: Any) -> Any:
            self.ours += 1
            return forward(*given, **named)

        return call

    def ask(self, part: str, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        assert self._asked is None, "one at a time"
        self._asked = (self._parts[part], given, named)

    def answer(self) -> Any:
        forward, given, named = self._asked
        self._asked = None
        self.calls += 1
        return forward(*given, **named)


def assert_divides(model: LoadedModel, knobs: dict[str, Any]) -> None:
    """W21: each task is drawn by two ranks as it is by one; each computes one pass of every step.
    A call of half the batch may round otherwise."""
    branches = family_of(model.description.pipeline).branches
    requests = [asked(model, task, settings=DIVIDED, **knobs) for task in model.description.tasks]
    assert all(each.cfg for each in requests)
    alone = [drawn(model, each) for each in requests]
    second = SecondRank(denoisers(model.pipelines.values()))
    division = divide(model.pipelines.values(), branches, second)
    for request, expected in zip(requests, alone, strict=True):
        before = second.calls
        division.begin(request)
        difference = np.abs(drawn(model, request).astype(int) - expected).max()
        assert difference <= (0 if branches is Branches.APART else ROUNDING)
        assert second.calls > before
        assert second.calls == second.ours


def test_w21_every_family_of_two_passes_is_divided_above() -> None:
    able = {each.name for each in TABLE if each.branches is not Branches.NONE}
    assert able == {each.name for each in FAMILIES.values() if each.guided is not None}


@pytest.mark.parametrize(
    "scheduler",
    [
        UniPCMultistepScheduler(),
        DPMSolverMultistepScheduler(),
        DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++"),
        EulerDiscreteScheduler(),
        EulerAncestralDiscreteScheduler(),
        HeunDiscreteScheduler(),
    ],
    ids=lambda each: f"{type(each).__name__} {each.config.get('algorithm_type', '')}".strip(),
)
def test_w53_stateful_schedulers_start_anew(
    loaded: Callable[..., LoadedModel], scheduler: Any
) -> None:
    """More steps than the order of any: what one step leaves, the next ones use."""
    model = loaded(tiny.stable_diffusion)
    for each in model.pipelines.values():
        each.scheduler = scheduler
    request = asked(model, T2I, num_inference_steps=4)
    other = asked(model, I2I, num_inference_steps=6)
    cold = drawn(model, request)
    drawn(model, other)
    assert np.array_equal(drawn(model, request), cold)
    cancelled(model, other)
    assert np.array_equal(drawn(model, request), cold)


@pytest.mark.parametrize("name", ["SDXL", "FLUX.1", "LTX-Video"])
def test_w53_a_seeds_result_is_the_same_in_a_batch_with_pictures(
    loaded: Callable[..., LoadedModel], name: str
) -> None:
    """Each prompt with its own picture, and two copies of each: all four are as if alone, up to the
    rounding of larger matrices."""
    model = loaded(FAMILIES[name].make)
    task = I2V if I2V in model.description.tasks else I2I
    images = tuple(
        np.roll(picture(SIDE, SIDE), 40 * number, 2) // (number + 1) for number in (0, 1)
    )
    prompts = ("a red fox", "a blue ball")

    def ask(prompts: Any, images: Any, seed: int, copies: int) -> GenerationRequest:
        knobs = {"seed": seed, "num_inference_steps": STEPS, "num_images_per_prompt": copies}
        if "strength" in model.description.accepted[task]:
            knobs["strength"] = 0.5
        return build_request(
            Ask(prompts, images=images, parameters=knobs), model.description, SETTINGS
        )

    together = drawn(model, ask(prompts, images, 3, 2))
    for place in range(4):
        alone = drawn(model, ask(prompts[place // 2 :][:1], images[place // 2 :][:1], 3 + place, 1))
        assert np.abs(together[place].astype(int) - alone[0]).max() <= 2, place


def test_w53_several_pictures_are_edited_as_one(loaded: Callable[..., LoadedModel]) -> None:
    """Of different sizes, for two copies of one prompt; each of the pictures counts."""
    model = loaded(tiny.flux_2_klein)
    about = model.description
    assert (about.most_images_in, about.unbatched) == (10, {I2I})
    first, second = picture(SIDE, SIDE), picture(2 * SIDE, 96)

    def edited(*images: Any, copies: int = 1) -> Any:
        knobs = {"seed": 7, "num_inference_steps": STEPS, "num_images_per_prompt": copies}
        ask = Ask(("a red fox",), images=images, parameters=knobs)
        return drawn(model, build_request(ask, about, SETTINGS))

    both = edited(first, second, copies=2)
    assert both.shape == (2, SIDE, SIDE, 3)
    assert not np.array_equal(both[0], both[1])
    assert not np.array_equal(both[:1], edited(first))
    assert not np.array_equal(both[:1], edited(first, 255 - second))


def test_w53_a_class_of_no_family_is_served_by_its_signature(
    loaded: Callable[..., LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers

    monkeypatch.setattr(diffusers, "LettersToPictures", tiny.LettersToPictures, raising=False)
    model = loaded(lambda: tiny.LettersToPictures(**vars_of(tiny.stable_diffusion())))
    about = model.description
    assert (about.family, about.registered, about.tasks) == ("unknown", False, (T2I,))
    assert about.defaults.sources["num_inference_steps"] == "base"
    request = asked(model, T2I)
    assert np.array_equal(drawn(model, request), drawn(model, request))


def vars_of(pipeline: Any) -> dict[str, Any]:
    return {**pipeline.components, "requires_safety_checker": False}
