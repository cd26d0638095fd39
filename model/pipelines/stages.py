"""The three stages of a cut pipeline, each of which is a part of the pipeline's own call. Imports
torch: engine process only.

*encode* is the call as far as its denoiser, and hands over what the text encoders and the VAE
returned on the way. *denoise* is the whole call, which finds these results where it asks for them,
as far as the VAE's ``decode``. *decode* is that, and what makes pixels of it. So every stage
computes what the uncut call computes, in its order and with its seed's numbers: the bytes are the
same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch

from ..contract.compilation import Compilations
from ..contract.generation import GenerationRequest, Timings
from ..contract.roles import Role
from ..contract.stages import StageWork
from ..errors import InvalidRequest
from .calls import (
    Meter,
    Step,
    arguments,
    as_uint8,
    check_drawn,
    check_finite,
    notes_of,
    own_scheduler,
    reset,
    stepping,
)
from .cuts import seams_of
from .handover import Handover, Packing, unpacked
from .loader import LoadedModel
from .request_facts import PICTURES, READ_LATER, facts_of, pictures_of, request_of, without_content
from .seams import Answering, Listening
from .skeleton import Reached, restore

# What each stage takes is what the one before has made; the first one takes a request.
MADE_BY: Final[dict[Role, Role | None]] = {
    Role.ENCODER: None,
    Role.DENOISER: Role.ENCODER,
    Role.DECODER: Role.DENOISER,
}
PIXELS: Final = "pixels"
LATENTS: Final = "vae.decode"


@dataclass(frozen=True, slots=True)
class Staged:
    """What a stage made, and what it cost."""

    handover: Handover
    timings: Timings
    peak_memory_bytes: int
    compilations: Compilations
    notes: dict[str, str]


def asked_of(request: GenerationRequest) -> Handover:
    """What the first stage takes."""
    pictures = {
        name: torch.from_numpy(np.array(each, order="C"))
        for name, each in pictures_of(request).items()
    }
    return Handover(pictures, {"made_by": None, "request": facts_of(request)})


def request_at(role: Role, model: LoadedModel, call: StageWork, given: Handover) -> Any:
    """The request that a stage works for.

    Raises:
        InvalidRequest: what was given is not for this role, or not of this model.
    """
    made_by = given.facts.get("made_by")
    if made_by != MADE_BY[role]:
        wanted = MADE_BY[role] or "a request"
        raise InvalidRequest(
            "made_by", f"{role} takes what {wanted} made, and got that of {made_by}"
        )
    about = model.description
    for name, ours in (("pipeline", about.pipeline), ("revision", about.revision)):
        theirs = given.facts.get(name, ours)
        if theirs != ours:
            raise InvalidRequest(
                name, f"the {made_by} has {str(theirs)[:100]!r} and this {role} {ours!r}; roles "
                "work together where --model is the same"
            )  # fmt: skip
    pictures = {
        name: each.numpy()
        for name, each in given.tensors.items()
        if name.partition(".")[0] in PICTURES and each.dtype == torch.uint8
    }
    request = request_of(
        call.id, given.facts.get("request", {}), pictures, deadline=call.deadline,
        warmup=call.warmup,
    )  # fmt: skip
    if request.task not in model.pipelines:
        raise InvalidRequest("task", f"{request.task} is none of {', '.join(model.pipelines)}")
    return request


def encode(model: LoadedModel, request: GenerationRequest, given: Handover, _: Step) -> Staged:
    """A request to conditioning."""
    pipeline = model.pipelines[request.task]
    meter = Meter(pipeline.device)
    packing = Packing(request.num_images_per_prompt)
    listening = Listening(seams_of(model.description.pipeline), packing)
    with listening.to(pipeline):
        _run_until_reached(pipeline, request, None)
    later = {
        name: each for name, each in given.tensors.items() if name.partition(".")[0] in READ_LATER
    }
    for name, tensor in packing.tensors.items():
        check_finite(tensor, name)
    made = Handover(
        packing.tensors | later,
        _facts(Role.ENCODER, model, without_content(request), listening.made),
    )
    return _staged(made, meter)


def denoise(
    model: LoadedModel, request: GenerationRequest, given: Handover, on_step: Step
) -> Staged:
    """Conditioning to latents, as the VAE's ``decode`` takes them. ``on_step`` as in ``calls.run``:
    what it raises ends the stage.

    Raises:
        GenerationFailed: the latents hold NaN or infinity.
    """
    pipeline = model.pipelines[request.task]
    meter = Meter(pipeline.device)
    vae_dtype = pipeline.vae.dtype
    answering = Answering(_made(given), given.tensors, pipeline.device)
    step = stepping(pipeline, request, meter, on_step)
    try:
        with answering.for_(pipeline):
            reached = _run_until_reached(pipeline, request, step)
    finally:
        restore(pipeline.vae, vae_dtype)
    answering.check_used()
    latents = [each for each in reached.given if isinstance(each, torch.Tensor)]
    for each in latents:
        check_finite(each, "latents")
    packing = Packing()
    made = {LATENTS: packing.packed(LATENTS, list(reached.given))}
    return _staged(Handover(packing.tensors, _facts(Role.DENOISER, model, request, made)), meter)


def decode(model: LoadedModel, request: GenerationRequest, given: Handover, _: Step) -> Staged:
    """Latents to pixels.

    Raises:
        GenerationFailed: these are not numbers, or a warmup's picture is black.
    """
    pipeline = model.pipelines[request.task]
    meter = Meter(pipeline.device)
    packed = _made(given).get(LATENTS)
    taken = unpacked(packed, given.tensors, pipeline.device)
    if not isinstance(taken, list) or not taken or not isinstance(taken[0], torch.Tensor):
        raise InvalidRequest("facts", f"hold no latents at {LATENTS}")
    with torch.inference_mode():
        drawn, flagged = pixels_of(pipeline, request, taken)
        check_finite(drawn, PIXELS)
        pixels = as_uint8(drawn)
    notes = notes_of(flagged)
    if request.warmup and not notes:
        check_drawn(pixels)
    if pixels.shape != request.pixel_shape:
        raise ValueError(f"the pipeline drew {pixels.shape}, not {request.pixel_shape}")
    made = Handover({PIXELS: torch.from_numpy(pixels)}, _facts(Role.DECODER, model, request, {}))
    total = meter.timings().total
    return replace(_staged(made, meter, notes), timings=Timings(decode=total, total=total))


STAGES: Final[dict[Role, Callable[[LoadedModel, GenerationRequest, Handover, Step], Staged]]] = {
    Role.ENCODER: encode,
    Role.DENOISER: denoise,
    Role.DECODER: decode,
}


def _run_until_reached(pipeline: Any, request: GenerationRequest, after_step: Any) -> Reached:
    """Run the pipeline's call until it reaches a component of another role; its arguments."""
    try:
        with torch.inference_mode(), own_scheduler(pipeline):
            pipeline(**arguments(pipeline, request, after_step))
    except Reached as reached:
        return reached
    finally:
        reset(pipeline)
    raise ValueError(f"{type(pipeline).__name__} ended without a call of another role's component")


def pixels_of(pipeline: Any, request: GenerationRequest, given: list[Any]) -> tuple[Any, Any]:
    """What every call does after its VAE. With it: which pictures a safety checker flagged."""
    decoded = _decoded(pipeline.vae, given)
    if request.task.makes_video:
        return pipeline.video_processor.postprocess_video(decoded, output_type="pt"), None
    if decoded.ndim == 5:  # of a VAE for videos (Qwen-Image): one frame
        decoded = decoded[:, :, 0]
    flagged = None
    if getattr(pipeline, "safety_checker", None) is not None:
        decoded, flagged = pipeline.run_safety_checker(decoded, pipeline.device, given[0].dtype)
    if getattr(pipeline, "watermark", None) is not None:
        decoded = pipeline.watermark.apply_watermark(decoded)
    visible = [not each for each in flagged] if flagged else [True] * len(decoded)
    pictures = pipeline.image_processor.postprocess(
        decoded, output_type="pt", do_denormalize=visible
    )
    return pictures, flagged


def _decoded(vae: Any, given: list[Any]) -> Any:
    """In the type of the latents: a call that fears for float16 has raised them to float32."""
    own, wanted = vae.dtype, given[0].dtype
    if own != wanted:
        vae.to(wanted)
    try:
        return vae.decode(*given, return_dict=False)[0]
    finally:
        if own != wanted:
            vae.to(own)


def _made(given: Handover) -> Mapping[str, Any]:
    made = given.facts.get("made")
    if not isinstance(made, dict):
        raise InvalidRequest("facts", "do not say what was made")
    return made


def _facts(role: Role, model: LoadedModel, request: Any, made: Mapping[str, Any]) -> dict[str, Any]:
    about = model.description
    return {
        "made_by": str(role),
        "pipeline": about.pipeline,
        "revision": about.revision,
        "request": facts_of(request),
        "made": dict(made),
    }


def _staged(made: Handover, meter: Meter, notes: dict[str, str] | None = None) -> Staged:
    return Staged(made, meter.timings(), meter.peak_memory_bytes, meter.compilations, notes or {})
