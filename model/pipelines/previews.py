"""Look at a picture before it is done. Imports torch: engine process only.

A preview is what the VAE makes of the latents that the denoiser expects at the end, at most three
for each request that asks for some, and nothing at all for others. A linear map from latents to
colours would cost less. But it would have to be known for every VAE, fine-tuned ones too, and what
it shows of a VAE with few channels is off by an eighth of the whole range; the decoder is at hand,
warm, and right for the weights that are loaded.
"""

from collections.abc import Callable
from typing import Any, Final

import torch

from ..contract.generation import GenerationRequest
from ..contract.watching import preview_steps
from .calls import as_uint8
from .estimate import Tap
from .families import Latents, family_of
from .stages import pixels_of

# Index from 0, step, of how many steps, pixels.
Tell = Callable[[int, int, int, Any], None]


class Previewing:
    """The previews of one call, told as they are drawn. ``listen`` once the call has its own
    scheduler."""

    def __init__(self, pipeline: Any, request: GenerationRequest, tell: Tell) -> None:
        self._pipeline = pipeline
        self._request = request
        self._tell = tell
        self._tap: Tap | None = None

    def listen(self) -> None:
        self._tap = Tap(self._pipeline.scheduler)
        self._tap.listen()

    def after_step(self, step: int, of: int, latents: Any) -> bool:
        """Draw a preview where one is due; whether it was."""
        due = preview_steps(self._request.previews, of)
        if step not in due or self._tap is None:
            return False
        expected = self._tap.estimate(latents)
        self._tell(due.index(step), step, of, looked_at(self._pipeline, self._request, expected))
        return True


def looked_at(pipeline: Any, request: GenerationRequest, latents: Any) -> Any:
    """uint8 pixels of latents as they lie between two steps."""
    kind = family_of(type(pipeline).__name__).latents
    assert kind is not None
    with torch.inference_mode():
        taken = UNPACKED[kind](pipeline, request, latents)
        drawn, _ = pixels_of(pipeline, request, [_in_type(pipeline.vae, taken)])
        return as_uint8(drawn)


def _cells(pipeline: Any, _: GenerationRequest, latents: Any) -> Any:
    config = pipeline.vae.config
    mean, deviation = (_each_channel(config, name, latents) for name in ("mean", "std"))
    if mean is None or deviation is None:
        return latents / config.scaling_factor + (config.get("shift_factor") or 0.0)
    return latents * deviation / config.scaling_factor + mean


def _packed(pipeline: Any, request: GenerationRequest, latents: Any) -> Any:
    return _cells(pipeline, request, _unpacked(pipeline, request, latents))


def _patches(pipeline: Any, request: GenerationRequest, latents: Any) -> Any:
    vae, side = pipeline.vae, pipeline.vae_scale_factor * 2
    rows, columns = request.sampling.height // side, request.sampling.width // side
    patches = latents.movedim(1, 2).unflatten(2, (rows, columns))
    mean, variance = (
        each.view(1, -1, 1, 1).to(latents.device, latents.dtype)
        for each in (vae.bn.running_mean, vae.bn.running_var + vae.config.batch_norm_eps)
    )
    return pipeline._unpatchify_latents(patches * variance.sqrt() + mean)


def _frames(pipeline: Any, request: GenerationRequest, latents: Any) -> Any:
    config = pipeline.vae.config
    cells = _unpacked(pipeline, request, latents)
    mean, deviation = (_each_channel(config, name, cells) for name in ("mean", "std"))
    return cells * deviation + mean


UNPACKED: Final[dict[Latents, Callable[[Any, GenerationRequest, Any], Any]]] = {
    Latents.CELLS: _cells,
    Latents.PACKED: _packed,
    Latents.PATCHES: _patches,
    Latents.FRAMES: _frames,
}


def _unpacked(pipeline: Any, request: GenerationRequest, latents: Any) -> Any:
    sampling, factor = request.sampling, pipeline.vae_scale_factor
    return pipeline._unpack_latents(latents, sampling.height, sampling.width, factor)


def _each_channel(config: Any, name: str, latents: Any) -> Any:
    """The VAE's ``latents_mean`` or ``latents_std``; None where it has none."""
    values = config.get(f"latents_{name}")
    if values is None:
        return None
    shape = (1, -1, *(1,) * (latents.ndim - 2))
    return torch.tensor(values).view(shape).to(latents.device, latents.dtype)


def _in_type(vae: Any, latents: Any) -> Any:
    """That of the VAE, but for one that overflows in float16, as diffusers' calls have it."""
    overflows = vae.dtype == torch.float16 and vae.config.get("force_upcast")
    return latents.float() if overflows else latents.to(vae.dtype)
