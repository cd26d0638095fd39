"""Each family, cut into encoder, denoiser and decoder: the same bytes as in one piece, and no
weights twice.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch

from model.contract.generation import GenerationRequest
from model.contract.roles import Role
from model.contract.sampling import Task
from model.contract.stages import StageWork
from model.errors import GenerationFailed, InvalidRequest, ModelNotLoadable
from model.pipelines.calls import run
from model.pipelines.families import FAMILIES as TABLE
from model.pipelines.handover import Handover
from model.pipelines.loader import LoadedModel, load
from model.pipelines.location import locate
from model.pipelines.requests import Ask, build_request
from model.pipelines.stages import PIXELS, STAGES, Staged, asked_of, request_at
from tests.integration.families import tiny
from tests.integration.families.test_families import FAMILIES, SETTINGS, asked, drawn

CHAIN: Final = (Role.ENCODER, Role.DENOISER, Role.DECODER)
# One of each family, and of what differs within one: CLIP's view of a picture, pictures as one.
NAMES: Final = (
    "SDXL", "SD3", "FLUX.1", "FLUX.1 Kontext", "FLUX.2", "FLUX.2 klein", "Z-Image", "Qwen-Image",
    "Qwen-Image-Edit", "Qwen-Image-Edit-Plus", "Wan T2V", "Wan I2V", "LTX-Video", "CogVideoX",
)  # fmt: skip


def silent(_step: int, _of: int) -> None:
    pass


@dataclass
class Cut:
    """One folder, in one piece and by role."""

    folder: Path
    whole: LoadedModel
    roles: dict[Role, LoadedModel]

    def stage(self, role: Role, given: Handover, on_step: Any = silent, **call: Any) -> Staged:
        """As between processes: what is handed over becomes bytes and JSON, and is read again."""
        work = StageWork("a", json.loads(json.dumps(dict(given.facts))), given.written(), **call)
        read = Handover.read(work.tensors, work.facts)
        model = self.roles[role]
        return STAGES[role](model, request_at(role, model, work, read), read, on_step)

    def until(self, last: Role, request: GenerationRequest) -> Handover:
        given = asked_of(request)
        for role in CHAIN[: CHAIN.index(last) + 1]:
            given = self.stage(role, given).handover
        return given

    def drawn(self, request: GenerationRequest) -> Any:
        return self.until(Role.DECODER, request).tensors[PIXELS].numpy()


def cut_of(folder: Path) -> Cut:
    found = locate(str(folder))
    roles = {role: load(found, "cpu", "auto", role) for role in CHAIN}
    return Cut(folder, load(found, "cpu", "auto"), roles)


@pytest.fixture(scope="module")
def sd(saved: Callable[..., Path]) -> Cut:
    return cut_of(saved(tiny.stable_diffusion))


def weights_of(model: LoadedModel) -> dict[str, int]:
    """Parameters by component, of those that have memory."""
    pipeline = next(iter(model.pipelines.values()))
    return {
        name: count
        for name, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
        and (count := sum(each.numel() for each in part.parameters() if not each.is_meta))
    }


def assert_held_once(cut: Cut) -> None:
    """Every component is of one role; of the VAE, each role has its half."""
    held = [weights_of(cut.roles[role]) for role in CHAIN]
    every = weights_of(cut.whole)
    assert set[str]().union(*held) == every.keys()
    for component, count in every.items():
        parts = [each[component] for each in held if component in each]
        assert parts == [count] or (component == "vae" and sum(parts) <= count), component


def full(model: LoadedModel, task: Task, knobs: dict[str, Any]) -> GenerationRequest:
    """Two copies of each of two prompts of unequal length (one, where more cannot be), not square;
    with ``knobs``."""
    about = model.description
    plain = asked(model, task)
    prompts = ("a fox",) if task in about.unbatched else ("a fox", "a longer text of a ball")
    # CogVideoX names the parameter, and draws one.
    copies = "num_images_per_prompt" in about.accepted[task] and about.family != "cogvideox"
    more = {"num_images_per_prompt": 2} if copies else {}
    strength = {"strength": plain.sampling.strength} if plain.sampling.strength else {}
    ask = Ask(
        prompts,
        images=plain.images * (1 if task in about.unbatched else 2),
        masks=plain.masks * 2,
        last_images=plain.last_images,
        videos=plain.videos,
        parameters={
            "seed": 11, "num_inference_steps": 2, **more, **strength, **knobs,
        },
    )  # fmt: skip
    return build_request(ask, about, SETTINGS)


def as_is(task: Task, model: LoadedModel) -> dict[str, Any]:
    """What is drawn from a picture has the picture's size."""
    wide = {"width": 64 + model.description.alignment}
    return {} if task.takes_image or task.takes_video else wide


@pytest.mark.parametrize("name", NAMES)
def test_w53_a_cut_family_draws_the_same_bytes(saved: Callable[..., Path], name: str) -> None:
    expected = FAMILIES[name]
    cut = cut_of(saved(expected.make))
    for model in cut.roles.values():
        assert replace(model.description, load_seconds={}) == replace(
            cut.whole.description, load_seconds={}
        )
    assert_held_once(cut)
    for task in cut.whole.description.tasks:
        guided = expected.guided or {}
        request = full(cut.whole, task, {**as_is(task, cut.whole), **guided})
        assert np.array_equal(cut.drawn(request), drawn(cut.whole, request)), task


def test_w53_every_family_that_can_be_cut_is_tested_here() -> None:
    tested = {FAMILIES[each].name for each in NAMES} | {"stable-diffusion-1"}
    assert {each.name for each in TABLE if each.cut} == tested


GUIDED: Final = {"guidance_scale": 5.0}


@pytest.mark.parametrize(
    ("knobs", "negative"),
    [({}, None), (GUIDED, None), (GUIDED, ("blurred",)), ({"guidance_scale": 1.0}, ("blurred",))],
)
def test_w53_every_request_of_a_family_draws_the_same_bytes(
    sd: Cut, knobs: dict[str, Any], negative: tuple[str, ...] | None
) -> None:
    for task in sd.whole.description.tasks:
        request = full(sd.whole, task, {**as_is(task, sd.whole), **knobs})
        negatives = negative and negative * len(request.prompts)
        request = replace(request, negative_prompts=negatives, cfg=knobs == GUIDED)
        assert np.array_equal(sd.drawn(request), drawn(sd.whole, request)), task
    assert_held_once(sd)


def test_w53_the_embedded_model_draws_the_same_bytes() -> None:
    whole = load(locate("embedded://"), "cpu", "auto")
    roles = {role: load(locate("embedded://"), "cpu", "auto", role) for role in CHAIN}
    cut = Cut(Path(), whole, roles)
    assert_held_once(cut)
    ask = Ask(("a red fox", "a blue ball"), parameters={"seed": 3, "num_inference_steps": 4})
    request = build_request(ask, whole.description, SETTINGS)
    assert np.array_equal(cut.drawn(request), drawn(whole, request))


def test_w53_what_crosses_is_small_and_has_no_text_and_no_picture(sd: Cut) -> None:
    request = full(sd.whole, Task.INPAINTING, GUIDED)
    made = sd.until(Role.ENCODER, request)
    assert "fox" not in json.dumps(made.facts)
    assert not [name for name in made.tensors if name.startswith("images")]
    # The denoiser paints by the mask. Two copies of a prompt travel as one row.
    assert {"masks.0", "encode_prompt.0.0"} <= made.tensors.keys()
    assert len(made.tensors["encode_prompt.0.0"]) == len(request.prompts)


HELD: Final = {
    Role.ENCODER: {"text_encoder", "vae"},
    Role.DENOISER: {"unet"},
    Role.DECODER: {"vae"},
}


@pytest.mark.parametrize("role", CHAIN)
def test_w53_a_role_reads_no_other_roles_weights(
    sd: Cut, saved: Callable[..., Path], role: Role
) -> None:
    """Their files are not even there. Configurations are."""
    folder = saved(tiny.stable_diffusion, f"only-{role}")
    for file in folder.glob("*/*.safetensors"):
        if file.parent.name not in HELD[role]:
            file.unlink()
    held = weights_of(load(locate(str(folder)), "cpu", "auto", role))
    assert held.keys() == HELD[role]
    assert held == weights_of(sd.roles[role])


def test_w53_each_step_of_the_denoiser_is_told_and_can_end_it(sd: Cut) -> None:
    request = full(sd.whole, Task.TEXT_TO_IMAGE, {"num_inference_steps": 4})
    made = sd.until(Role.ENCODER, request)
    told: list[tuple[int, int]] = []
    whole: list[tuple[int, int]] = []
    first = sd.stage(Role.DENOISER, made, lambda *each: told.append(each))
    run(sd.whole.pipelines[request.task], request, lambda *each: whole.append(each))
    assert told == whole
    assert len(first.timings.steps) == len(told)

    class Stopped(Exception):
        pass

    def stop(step: int, _of: int) -> None:
        if step == 2:
            raise Stopped

    with pytest.raises(Stopped):
        sd.stage(Role.DENOISER, made, stop)
    again = sd.stage(Role.DENOISER, made).handover
    assert torch.equal(again.tensors["vae.decode.0"], first.handover.tensors["vae.decode.0"])


def broken(given: Handover, name: str, change: Callable[[Any], Any]) -> Handover:
    return replace(given, tensors={**given.tensors, name: change(given.tensors[name])})


def test_w53_latents_that_are_no_numbers_are_a_failure(sd: Cut) -> None:
    made = sd.until(Role.ENCODER, full(sd.whole, Task.TEXT_TO_IMAGE, {}))
    nothing = broken(made, "encode_prompt.0.0", lambda each: each * float("nan"))
    with pytest.raises(GenerationFailed, match="latents hold NaN"):
        sd.stage(Role.DENOISER, nothing)
    latents = sd.stage(Role.DENOISER, made).handover
    nothing = broken(latents, "vae.decode.0", lambda each: each * float("nan"))
    with pytest.raises(GenerationFailed, match="pixels hold NaN"):
        sd.stage(Role.DECODER, nothing)


def test_w53_what_is_not_for_a_role_is_refused(sd: Cut) -> None:
    asked_for = full(sd.whole, Task.IMAGE_TO_IMAGE, {})
    made = sd.until(Role.ENCODER, asked_for)
    with pytest.raises(InvalidRequest, match="made_by: decoder takes what denoiser made"):
        sd.stage(Role.DECODER, made)
    with pytest.raises(InvalidRequest, match="revision: the encoder has 'other'"):
        sd.stage(Role.DENOISER, replace(made, facts={**made.facts, "revision": "other"}))
    with pytest.raises(InvalidRequest, match="facts: are not those of a request"):
        sd.stage(Role.DENOISER, replace(made, facts={**made.facts, "request": {}}))
    lacking = {name: each for name, each in made.tensors.items() if "prompt" not in name}
    with pytest.raises(InvalidRequest, match=r"tensors: lack encode_prompt\.0\.0"):
        sd.stage(Role.DENOISER, replace(made, tensors=lacking))
    short = {**made.facts, "made": {**made.facts["made"], "vae.encode": []}}
    with pytest.raises(InvalidRequest, match=r"facts: hold too little of vae\.encode"):
        sd.stage(Role.DENOISER, replace(made, facts=short))
    twice = {**made.facts["made"], "encode_prompt": made.facts["made"]["encode_prompt"] * 2}
    with pytest.raises(InvalidRequest, match="facts: hold more of encode_prompt"):
        sd.stage(Role.DENOISER, replace(made, facts={**made.facts, "made": twice}))


def test_w53_a_pipeline_that_cannot_be_cut_is_refused_with_those_that_can(
    saved: Callable[..., Path],
) -> None:
    folder = saved(tiny.stable_diffusion, "other")
    index = json.loads((folder / "model_index.json").read_text())

    def refused(**changed: Any) -> str:
        (folder / "model_index.json").write_text(json.dumps({**index, **changed}))
        with pytest.raises(ModelNotLoadable) as caught:
            load(locate(str(folder)), "cpu", "auto", Role.DENOISER)
        return str(caught.value)

    told = refused(_class_name="KandinskyPipeline")
    assert "--role denoiser: KandinskyPipeline: the class is in no table" in told
    assert "stable-diffusion-xl, stable-diffusion-3, flux-1" in told
    assert "decodes by more than latents" in refused(vae=["diffusers", "ConsistencyDecoderVAE"])
    (folder / "prior").mkdir()
    assert "its component prior belongs to no role" in refused(prior=["diffusers", "PriorModel"])


def test_w52_flux_2_with_a_vae_of_another_kind_cannot_be_cut(saved: Callable[..., Path]) -> None:
    from tests.integration.families import parts

    folder = saved(lambda: tiny.flux_2_klein(vae=parts.kl_vae()))
    with pytest.raises(ModelNotLoadable, match="AutoencoderKL, has no batch norm"):
        load(locate(str(folder)), "cpu", "auto", Role.DENOISER)


def test_w53_a_vae_that_the_call_raises_to_float32_is_raised_by_its_own_role(
    saved: Callable[..., Path],
) -> None:
    """SDXL's in float16: every time, not only the first."""
    found = locate(str(saved(tiny.stable_diffusion_xl)))
    roles = {role: load(found, "cpu", "float16", role) for role in CHAIN}
    whole = load(found, "cpu", "float16")
    cut = Cut(Path(), whole, roles)
    request = full(whole, Task.TEXT_TO_IMAGE, {})
    for _ in range(2):
        latents = cut.until(Role.DENOISER, request)
        assert latents.tensors["vae.decode.0"].dtype == torch.float32
        pixels = cut.stage(Role.DECODER, latents).handover.tensors[PIXELS].numpy()
        assert np.array_equal(pixels, drawn(whole, request))
    assert next(iter(roles[Role.DECODER].pipelines.values())).vae.dtype == torch.float16
