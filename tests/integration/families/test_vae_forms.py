"""W50 to W52 in real calls: VAEs that return each known form, keep what they return, have no shift,
or stand in for FLUX.2's. Each is compared with what the usual VAE of the same weights draws.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny

from model.contract.generation import GenerationRequest, Sampling
from model.contract.sampling import Task
from model.errors import GenerationFailed
from model.pipelines.calls import run
from model.pipelines.families import family_of
from model.pipelines.loader import load
from model.pipelines.location import locate
from model.pipelines.requests import Ask, build_request
from model.pipelines.vae import adapt_vae
from model.settings import Settings
from tests.integration.families import parts, tiny
from tests.integration.families.conftest import SIDE

KNOBS = {"num_inference_steps": 2, "seed": 7}
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


class ReturnsDistribution(AutoencoderKL):  # type: ignore[misc]
    def encode(self, x: Any, return_dict: bool = True) -> Any:
        return super().encode(x).latent_dist


class ReturnsLatent(AutoencoderKL):  # type: ignore[misc]
    def encode(self, x: Any, return_dict: bool = True) -> Any:
        return SimpleNamespace(latent=super().encode(x).latent_dist.mode())


class ReturnsLatents(AutoencoderKL):  # type: ignore[misc]
    def encode(self, x: Any, return_dict: bool = True) -> Any:
        return SimpleNamespace(latents=super().encode(x).latent_dist.mode())


class Remembers(AutoencoderKL):  # type: ignore[misc]
    """Encodes once, and hands the same tensor out again."""

    kept: Any = None

    def encode(self, x: Any, return_dict: bool = True) -> Any:
        if self.kept is None:
            self.kept = super().encode(x).latent_dist.mode()
        return SimpleNamespace(latents=self.kept)


class ReturnsNonsense(AutoencoderKL):  # type: ignore[misc]
    def encode(self, x: Any, return_dict: bool = True) -> Any:
        return SimpleNamespace(codes=torch.zeros(1))


def kontext(kind: type[AutoencoderKL], shift: float | None = 0.5) -> Any:
    """With the same weights, whatever the class of the VAE."""
    torch.manual_seed(0)
    pipeline = tiny.flux_kontext()
    usual = parts.kl_vae(shift_factor=shift, scaling_factor=0.4)
    torch.manual_seed(1)
    pipeline.vae = kind.from_config(usual.config)
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            component.eval()  # loading does this
    pipeline.set_progress_bar_config(disable=True)
    adapt_vae(pipeline, family_of("FluxKontextPipeline"))
    return pipeline


def drawn(pipeline: Any) -> Any:
    sampling = Sampling(width=SIDE, height=SIDE, num_inference_steps=2, guidance_scale=2.5)
    request = GenerationRequest(
        "a", Task.IMAGE_TO_IMAGE, ("a fox",), sampling, (7,), images=(IMAGE,)
    )  # fmt: skip
    return run(pipeline, request, lambda step, of: None).pixels


@pytest.mark.parametrize("kind", [ReturnsDistribution, ReturnsLatent, ReturnsLatents, Remembers])
def test_w50_a_call_draws_the_same_from_every_form(kind: type[AutoencoderKL]) -> None:
    assert np.array_equal(drawn(kontext(kind)), drawn(kontext(AutoencoderKL)))


def test_w50_a_form_that_is_not_known_is_told_by_the_vaes_name() -> None:
    with pytest.raises(GenerationFailed, match=r"ReturnsNonsense\.encode returned SimpleNamespace"):
        drawn(kontext(ReturnsNonsense))


def test_w51_no_shift_is_a_shift_by_zero() -> None:
    assert np.array_equal(drawn(kontext(AutoencoderKL, None)), drawn(kontext(AutoencoderKL, 0.0)))
    assert not np.array_equal(drawn(kontext(AutoencoderKL)), drawn(kontext(AutoencoderKL, 0.0)))


def test_w51_what_a_vae_keeps_is_never_written_to() -> None:
    pipeline = kontext(Remembers)
    first = drawn(pipeline)
    kept = pipeline.vae.kept.clone()
    assert np.array_equal(drawn(pipeline), first)
    assert torch.equal(pipeline.vae.kept, kept)


def distilled_vae(latent_channels: int, halvings: int) -> Any:
    """Of 2D convolutions, returns ``latents``, has no batch norm: as FLUX.2's distilled VAEs."""
    blocks = (8,) * (halvings + 1)
    return AutoencoderTiny(
        encoder_block_out_channels=blocks,
        decoder_block_out_channels=blocks,
        num_encoder_blocks=(1,) * len(blocks),
        num_decoder_blocks=(1,) * len(blocks),
        latent_channels=latent_channels,
    )


@pytest.mark.parametrize(
    ("latent_channels", "halvings"), [(4, 1), (16, 2)], ids=["standard latents", "patchified"]
)
@pytest.mark.parametrize("image", [None, IMAGE], ids=["text", "picture"])
def test_w52_flux_2_draws_with_a_vae_without_batch_norm(
    saved: Callable[..., Path], latent_channels: int, halvings: int, image: Any
) -> None:
    """Saved and loaded: what is drawn has the size that was asked for, and the picture counts."""
    folder = saved(lambda: tiny.flux_2_klein(distilled_vae(latent_channels, halvings)))
    model = load(locate(str(folder)), "cpu", "auto")
    ask = Ask(
        ("a fox",), images=() if image is None else (image,), parameters={**KNOBS, "width": 96}
    )
    request = build_request(ask, model.description, Settings())
    pipeline = model.pipelines[request.task]
    pixels = run(pipeline, request, lambda step, of: None).pixels
    assert pixels.shape == (1, SIDE, 96, 3)
    assert pixels.std() > 0
    if image is not None:
        other = build_request(
            Ask(("a fox",), images=(255 - image,), parameters={**KNOBS, "width": 96}),
            model.description,
            Settings(),
        )
        assert not np.array_equal(run(pipeline, other, lambda step, of: None).pixels, pixels)


def test_w50_stable_diffusion_draws_with_a_distilled_vae(saved: Callable[..., Path]) -> None:
    """TAESD's class, in the pipeline's own image-to-image and inpainting."""

    def make() -> Any:
        pipeline = tiny.stable_diffusion()
        pipeline.vae = distilled_vae(4, 1)
        return pipeline

    model = load(locate(str(saved(make))), "cpu", "auto")
    for masks in ((), (IMAGE[..., 0],)):
        ask = Ask(("a fox",), images=(IMAGE,), masks=masks, parameters={**KNOBS, "strength": 1.0})
        request = build_request(ask, model.description, Settings())
        pixels = run(model.pipelines[request.task], request, lambda step, of: None).pixels
        assert pixels.shape == (1, SIDE, SIDE, 3)
