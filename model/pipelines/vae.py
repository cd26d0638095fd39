"""Make what a VAE returns fit what a pipeline's call reads (W50 to W52). Imports torch.

diffusers encodes input pictures inside the calls, each of which reads two forms of an encoder's
output and takes the VAE of its family for granted. So the loaded VAE is adapted once, where the
calls meet it: at its ``encode``, its configuration, and FLUX.2's patches. Fine-tuned and distilled
VAEs then work in the pipeline that they were saved with.
"""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import torch

from ..errors import GenerationFailed
from .families import Family
from .skeleton import is_skeleton

Hook = Callable[[Any], Any]
# FLUX.2 packs squares of two latent cells a side into one token.
PATCH: Final = 2
PROBE_SIDE: Final = 64


def adapt_vae(pipeline: Any, family: Family) -> None:
    """Adapt the VAE of a pipeline that was just loaded. Its siblings share it.

    Raises:
        GenerationFailed: a VAE that stands in for FLUX.2's returns nothing that can be read.
    """
    vae: Any = getattr(pipeline, "vae", None)
    if not hasattr(vae, "encode"):
        return
    if not is_skeleton(vae):
        hook: Hook = HOOKS[family.vae_hook](vae) if family.vae_hook else _as_it_is
        vae.encode = _adapted(vae.encode, hook, type(vae).__name__)
    if family.latent_shift:
        _complete_shift(vae)
    if family.vae_hook == FLUX_2 and not hasattr(vae, "bn"):
        _adapt_flux_2(pipeline)


def readable(output: Any, vae_class: str) -> Any:
    """W50: an encoder's output in a form that diffusers' ``retrieve_latents`` reads, which knows
    ``latent_dist`` and ``latents`` only. The output itself is not changed: a VAE may keep it.

    Raises:
        GenerationFailed: it has none of the known forms; names the VAE.
    """
    if hasattr(output, "latent_dist"):
        return output
    if hasattr(output, "latent"):
        return SimpleNamespace(latent=output.latent, latents=output.latent)
    if hasattr(output, "latents"):
        return output
    if hasattr(output, "sample") and hasattr(output, "mode"):
        return SimpleNamespace(latent_dist=output)
    raise GenerationFailed(
        f"{vae_class}.encode returned {type(output).__name__}, which has none of latent_dist, "
        "latent, latents, or sample() and mode()"
    )


def preprocess_flux_2(vae: Any) -> Hook:
    """W52: the standard VAE of FLUX.2 is known by its batch norm, and takes what the call gives
    it. One without is fine-tuned or distilled, of 2D convolutions: a single frame [n, 3, 1, h, w]
    becomes the picture [n, 3, h, w].
    """
    standard = hasattr(vae, "bn")

    def preprocess(image: Any) -> Any:
        single_frame = image.ndim == 5 and image.shape[2] == 1
        return image.squeeze(2) if single_frame and not standard else image

    return preprocess


def patchify(latents: Any, channels: int, standard: Callable[[Any], Any]) -> Any:
    """W52: latents that have the denoiser's ``channels`` already are patchified."""
    return latents if latents.shape[1] == channels else standard(latents)


def _as_it_is(image: Any) -> Any:
    return image


def _adapted(encode: Callable[..., Any], hook: Hook, vae_class: str) -> Callable[..., Any]:
    @functools.wraps(encode)
    def adapted(image: Any, *positional: Any, **named: Any) -> Any:
        output = encode(hook(image), *positional, **named)
        # A caller that asked for a tuple reads it by itself.
        return output if isinstance(output, tuple) else readable(output, vae_class)

    return adapted


def _complete_shift(vae: Any) -> None:
    """W51: these calls compute ``(latents - shift) * scale``, out of place, and fail at a shift
    that is absent or None: no shift is a shift by zero."""
    if vae.config.get("shift_factor") is None:
        vae.register_to_config(shift_factor=0.0)


def _adapt_flux_2(pipeline: Any) -> None:
    """The call normalises patchified latents by the batch norm of the standard VAE. One without
    has its latents shifted and scaled as its configuration says, or not at all."""
    vae = pipeline.vae
    channels = pipeline.transformer.config.in_channels
    vae.bn = _normalisation(vae, channels)
    vae.register_to_config(batch_norm_eps=vae.bn.eps)
    probe = torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE, dtype=vae.dtype, device=vae.device)
    with torch.inference_mode():
        found = vae.encode(probe)
    latents = found.latent_dist.mode() if hasattr(found, "latent_dist") else found.latents
    patchified = latents.shape[1] == channels
    cell = PROBE_SIDE // latents.shape[-1]
    pipeline.vae_scale_factor = cell // PATCH if patchified else cell
    pipeline._patchify_latents = functools.partial(
        patchify, channels=channels, standard=type(pipeline)._patchify_latents
    )
    if patchified:
        pipeline._unpatchify_latents = _as_it_is


def _normalisation(vae: Any, channels: int) -> Any:
    """``(latents - shift) * scale`` as a batch norm that learns nothing (W51)."""
    shift = vae.config.get("shift_factor") or 0.0
    scale = vae.config.get("scaling_factor") or 1.0
    norm = torch.nn.BatchNorm2d(channels, affine=False).eval()
    norm.running_mean = torch.full((channels,), float(shift))
    norm.running_var = torch.full((channels,), 1 / scale**2 - norm.eps)
    return norm.to(vae.device)


FLUX_2: Final = "flux-2"
HOOKS: Final[dict[str, Callable[[Any], Hook]]] = {FLUX_2: preprocess_flux_2}
