"""Latents of another program, decoded by a decoder's VAE. Imports torch: engine process only.

A request of a chain carries what ``vae.decode`` gets, from a denoiser of the same model. These are
whatever a diffusers user has, so that everything about them is checked, and scaled as it is asked.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Final

import torch
from pydantic import ValidationError

from ..contract.generation import Timings
from ..contract.remote_vae import DECODED, FACT, LATENTS, BareLatents
from ..errors import InvalidRequest
from .calls import Meter, check_finite
from .handover import Handover
from .loader import LoadedModel
from .stages import Staged

# How many pixels a side of a latent cell is, by the names that pipelines have for it.
SIDES: Final = ("vae_scale_factor", "vae_scale_factor_spatial", "vae_spatial_compression_ratio")
# Of FLUX.1 and Qwen-Image: from these alone, their calls unpack what they have packed.
UNPACKED_BY: Final = ["latents", "height", "width", "vae_scale_factor"]
PACKED_AXES: Final = 3


def are_bare(facts: Mapping[str, Any]) -> bool:
    """Whether a stage's facts speak of such latents."""
    return FACT in facts


def decode_bare(model: LoadedModel, given: Handover) -> Staged:
    """Latents to what the VAE makes of them.

    Raises:
        InvalidRequest: they are not for this VAE, or it cannot scale them by itself.
        GenerationFailed: the VAE made NaN or infinity of them.
    """
    asked = _asked(given)
    pipeline = next(iter(model.pipelines.values()))
    vae = pipeline.vae
    meter = Meter(pipeline.device)
    latents = given.tensors[LATENTS].to(pipeline.device)
    if not torch.isfinite(latents).all():
        raise InvalidRequest("body", "holds NaN or infinity")
    latents = _unpacked(pipeline, latents, asked)
    _check_shape(pipeline, latents, asked)
    dtype = _dtype(vae)
    with torch.inference_mode():
        decoded = _decoded(vae, _scaled(vae, latents.to(dtype), asked), dtype)
    check_finite(decoded, "pixels")
    if decoded.ndim == 5 and model.description.frames is None:
        decoded = decoded[:, :, 0]  # of a VAE for videos, in a model of pictures: one frame
    timings = meter.timings()
    return Staged(
        Handover({DECODED: decoded.contiguous().cpu()}, {}),
        Timings(decode=timings.total, total=timings.total),
        meter.peak_memory_bytes,
        meter.compilations,
        {},
    )


def _asked(given: Handover) -> BareLatents:
    try:
        asked = BareLatents.model_validate(given.facts[FACT])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidRequest(FACT, f"{where}: {first['msg']}") from None
    if given.tensors.keys() != {LATENTS} or not given.tensors[LATENTS].is_floating_point():
        raise InvalidRequest("tensors", f"must be one of floats, by the name {LATENTS}")
    return asked


def _unpacked(pipeline: Any, latents: Any, asked: BareLatents) -> Any:
    if latents.ndim != PACKED_AXES:
        return latents
    unpack = getattr(pipeline, "_unpack_latents", None)
    if unpack is None or list(inspect.signature(unpack).parameters) != UNPACKED_BY:
        raise InvalidRequest(
            "shape",
            f"has {PACKED_AXES} axes, and latents of {type(pipeline).__name__} are not unpacked "
            "here; send them as its VAE takes them",
        )
    try:
        return unpack(latents, asked.height, asked.width, pipeline.vae_scale_factor)
    except (RuntimeError, TypeError) as error:
        raise InvalidRequest(
            "shape", f"{list(latents.shape)} is not that of {asked.width}x{asked.height} packed"
        ) from error


def _check_shape(pipeline: Any, latents: Any, asked: BareLatents) -> None:
    vae = pipeline.vae
    axes = next(each.ndim for each in vae.decoder.parameters() if each.ndim > PACKED_AXES)
    channels = vae.config.get("latent_channels") or vae.config.get("z_dim")
    if latents.ndim != axes or latents.shape[1] != channels:
        frames = "frames, " if axes == 5 else ""
        raise InvalidRequest(
            "shape",
            f"{list(latents.shape)} is not for {type(vae).__name__}, which takes "
            f"[n, {channels}, {frames}height, width]",
        )
    side = next(getattr(pipeline, each) for each in SIDES if hasattr(pipeline, each))
    height, width = (each * side for each in latents.shape[-2:])
    if height * width > asked.most_pixels:
        raise InvalidRequest(
            "shape",
            f"is of {width}x{height} pixels; at most {asked.most_pixels} are drawn, by "
            "--max-pixels",
        )


def _dtype(vae: Any) -> torch.dtype:
    """As diffusers' calls do it: some VAEs overflow in float16."""
    raised = vae.dtype == torch.float16 and vae.config.get("force_upcast")
    return torch.float32 if raised else vae.dtype


def _scaled(vae: Any, latents: Any, asked: BareLatents) -> Any:
    """Out of place, and in the order of diffusers' calls: the numbers are the same."""
    if asked.own_scaling:
        return _scaled_by_model(vae, latents)
    if asked.scaling_factor is not None:
        latents = latents / asked.scaling_factor
    if asked.shift_factor is not None:
        latents = latents + asked.shift_factor
    return latents


def _scaled_by_model(vae: Any, latents: Any) -> Any:
    known = vae.config
    factor, shift = known.get("scaling_factor"), known.get("shift_factor")
    mean, deviation = (_by_channel(vae, name, latents) for name in ("latents_mean", "latents_std"))
    if mean is not None and deviation is not None:
        scaled = latents / (1.0 / deviation) if factor is None else latents * deviation / factor
        return scaled + mean
    if factor is None:
        raise InvalidRequest(
            "do_scaling",
            f"{type(vae).__name__} knows no factor; scale the latents before, and give "
            "do_scaling=False",
        )
    latents = latents / factor
    return latents if shift is None else latents + shift


def _by_channel(vae: Any, name: str, latents: Any) -> Any:
    found = vae.config.get(name)
    if found is None:
        found = dict(vae.named_buffers(recurse=False)).get(name)  # LTX-Video's
    if found is None:
        return None
    places = [1, -1, *[1] * (latents.ndim - 2)]
    return torch.as_tensor(found).to(latents.device, latents.dtype).view(places)


def _decoded(vae: Any, latents: Any, dtype: torch.dtype) -> Any:
    if vae.config.get("timestep_conditioning"):
        raise InvalidRequest(
            "endpoint",
            f"this {type(vae).__name__} decodes by more than latents; send whole requests to the "
            "router of its chain",
        )
    own = vae.dtype
    if own != dtype:
        vae.to(dtype)
    try:
        return vae.decode(latents, return_dict=False)[0]
    finally:
        if own != dtype:
            vae.to(own)
