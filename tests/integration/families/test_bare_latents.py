"""Latents that diffusers itself hands to its users, decoded by a decoder: its own pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from model.contract.remote_vae import DECODED, FACT, LATENTS
from model.contract.roles import Role
from model.errors import GenerationFailed, InvalidRequest
from model.pipelines.bare_latents import are_bare, decode_bare
from model.pipelines.handover import Handover
from model.pipelines.loader import LoadedModel, load
from model.pipelines.location import locate
from tests.integration.families import tiny

SIDE = 64
PLAIN: dict[str, Any] = {
    "own_scaling": False, "scaling_factor": None, "shift_factor": None, "height": None,
    "width": None, "most_pixels": SIDE * SIDE,
}  # fmt: skip
OWN = {"own_scaling": True}


@dataclass
class Decoder:
    """A decoder, and the whole pipeline of the same folder."""

    model: LoadedModel
    whole: Any

    def call(self, output_type: str, **more: Any) -> torch.Tensor:
        found = self.whole(
            "a fox", height=SIDE, width=SIDE, num_inference_steps=2, output_type=output_type,
            generator=torch.Generator().manual_seed(5), return_dict=False, **more,
        )[0]  # fmt: skip
        return torch.as_tensor(found)

    def decoded(self, latents: torch.Tensor, **facts: Any) -> torch.Tensor:
        given = Handover({LATENTS: latents.contiguous()}, {FACT: {**PLAIN, **facts}})
        assert are_bare(given.facts)
        return decode_bare(
            self.model, Handover.read(given.written(), given.facts)
        ).handover.tensors[DECODED]


def decoder_of(folder: Path) -> Decoder:
    found = locate(str(folder))
    whole = next(iter(load(found, "cpu", "auto").pipelines.values()))
    return Decoder(load(found, "cpu", "auto", Role.DECODER), whole)


def shifted_flux() -> Any:
    pipeline = tiny.flux()
    pipeline.vae.register_to_config(shift_factor=0.1)
    return pipeline


@pytest.fixture(scope="module")
def sd(saved: Callable[..., Path]) -> Decoder:
    return decoder_of(saved(tiny.stable_diffusion))


@pytest.mark.parametrize(
    ("make", "packed"),
    [
        (tiny.stable_diffusion_xl, False),
        (tiny.stable_diffusion_3, False),
        (shifted_flux, True),
        (tiny.qwen_image, True),
    ],
    ids=["SDXL", "SD3", "FLUX.1", "Qwen-Image"],
)
def test_pictures_are_those_of_the_whole_call(
    saved: Callable[..., Path], make: Any, packed: bool
) -> None:
    decoder = decoder_of(saved(make))
    latents = decoder.call("latent")
    assert (latents.ndim == 3) is packed
    size = {"height": SIDE, "width": SIDE} if packed else {}
    found = decoder.decoded(latents, **OWN, **size)
    assert torch.equal((found / 2 + 0.5).clamp(0, 1), decoder.call("pt"))
    known = decoder.whole.vae.config
    if known.get("scaling_factor"):  # and as the caller says
        factors = {"scaling_factor": known.scaling_factor, "shift_factor": known.shift_factor}
        assert torch.equal(found, decoder.decoded(latents, **factors, **size))


def test_videos_are_those_of_the_whole_call(saved: Callable[..., Path]) -> None:
    decoder = decoder_of(saved(tiny.wan))
    found = decoder.decoded(decoder.call("latent", num_frames=5), **OWN)
    drawn = (found / 2 + 0.5).clamp(0, 1).transpose(1, 2)
    assert torch.equal(drawn, decoder.call("pt", num_frames=5))


def test_a_vae_that_overflows_in_float16_decodes_in_float32(saved: Callable[..., Path]) -> None:
    """Every time, not only the first."""
    model = load(locate(str(saved(tiny.stable_diffusion_xl))), "cpu", "float16", Role.DECODER)
    decoder = Decoder(model, None)
    for _ in range(2):
        found = decoder.decoded(torch.ones(1, 4, 8, 8, dtype=torch.float16), **OWN)
        assert found.dtype == torch.float32
    assert next(iter(model.pipelines.values())).vae.dtype == torch.float16


@pytest.mark.parametrize(
    ("latents", "facts", "told"),
    [
        (
            torch.ones(1, 5, 8, 8),
            {},
            r"shape: \[1, 5, 8, 8\] is not for AutoencoderKL, which takes",
        ),
        (torch.ones(1, 4, 2, 8, 8), {}, "shape: .*which takes .n, 4, height, width"),
        (torch.ones(1, 16, 16), {"height": 64, "width": 64}, "shape: has 3 axes, and latents of S"),
        (torch.full((1, 4, 8, 8), float("nan")), {}, "body: holds NaN or infinity"),
        (torch.ones(1, 4, 8, 8, dtype=torch.int32), {}, "tensors: must be one of floats"),
        (torch.ones(1, 4, 64, 64), {}, "shape: is of [0-9]+x[0-9]+ pixels; at most 4096 are drawn"),
        (torch.ones(1, 4, 8, 8), {"scaling_factor": "x"}, "remote_vae: scaling_factor: "),
        (torch.ones(1, 4, 8, 8), {"colour": 1}, "remote_vae: colour: "),
    ],
)
def test_what_is_wrong_is_named(
    sd: Decoder, latents: torch.Tensor, facts: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{told}"):
        sd.decoded(latents, **facts)


def test_packed_latents_of_another_size(saved: Callable[..., Path]) -> None:
    decoder = decoder_of(saved(tiny.flux))
    with pytest.raises(InvalidRequest, match=r"shape: .* is not that of 48x64 packed"):
        decoder.decoded(decoder.call("latent"), height=64, width=48)


def test_pixels_that_are_no_numbers_are_a_failure(saved: Callable[..., Path]) -> None:
    decoder = decoder_of(saved(tiny.stable_diffusion))
    vae = next(iter(decoder.model.pipelines.values())).vae
    with torch.no_grad():
        next(vae.decoder.parameters()).fill_(float("nan"))
    with pytest.raises(GenerationFailed, match="pixels hold NaN"):
        decoder.decoded(torch.ones(1, 4, 8, 8))


def test_a_vae_without_factors_cannot_scale_by_itself(saved: Callable[..., Path]) -> None:
    decoder = decoder_of(saved(tiny.flux_2_klein))
    with pytest.raises(InvalidRequest, match="do_scaling: AutoencoderKLFlux2 knows no factor"):
        decoder.decoded(torch.ones(1, decoder.whole.vae.config.latent_channels, 8, 8), **OWN)
