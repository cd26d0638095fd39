"""W50 to W52: VAEs of every output form, with a shift or without, in the way of real calls."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderDC, AutoencoderKL, AutoencoderKLFlux2, AutoencoderTiny
from diffusers.configuration_utils import FrozenDict
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.pipelines.flux.pipeline_flux_kontext import retrieve_latents
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline

from model.errors import GenerationFailed
from model.pipelines.families import UNKNOWN, family_of
from model.pipelines.vae import adapt_vae, patchify, readable

FLUX_2 = family_of("Flux2KleinPipeline")
PICTURE = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
CHANNELS = 16


def tiny(latent_channels: int = 4, halvings: int = 1, **known: Any) -> Any:
    """Returns ``latents``, and has no batch norm."""
    torch.manual_seed(0)
    blocks = (4,) * (halvings + 1)
    return AutoencoderTiny(
        encoder_block_out_channels=blocks,
        decoder_block_out_channels=blocks,
        num_encoder_blocks=(1,) * len(blocks),
        num_decoder_blocks=(1,) * len(blocks),
        latent_channels=latent_channels,
        **known,
    ).eval()


def usual(**known: Any) -> Any:
    """Returns ``latent_dist``."""
    torch.manual_seed(0)
    return AutoencoderKL(block_out_channels=(8,), norm_num_groups=2, **known).eval()


def deep() -> Any:
    """Returns ``latent``."""
    torch.manual_seed(0)
    return AutoencoderDC(
        latent_channels=4,
        encoder_block_types="ResBlock",
        decoder_block_types="ResBlock",
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        encoder_qkv_multiscales=((), ()),
        decoder_qkv_multiscales=((), ()),
        downsample_block_type="Conv",
        upsample_block_type="interpolate",
    ).eval()


class OwnDistribution(AutoencoderKL):  # type: ignore[misc]
    """Returns the distribution itself, as the first latent diffusion code did."""

    def encode(self, x: Any, return_dict: bool = True) -> Any:
        return super().encode(x).latent_dist


def own_distribution() -> Any:
    torch.manual_seed(0)
    return OwnDistribution(block_out_channels=(8,), norm_num_groups=2).eval()


def adapted(vae: Any, family: Any = UNKNOWN) -> Any:
    adapt_vae(SimpleNamespace(vae=vae), family)
    return vae


@pytest.mark.parametrize("make", [usual, tiny, deep, own_distribution])
@pytest.mark.parametrize("mode", ["sample", "argmax"])
def test_w50_what_a_vae_returns_is_read_by_the_calls_own_function(make: Any, mode: str) -> None:
    with torch.no_grad():
        output = adapted(make()).encode(PICTURE)
        read = retrieve_latents(output, torch.Generator().manual_seed(1), mode)
    with torch.no_grad():
        plain = make().encode(PICTURE)
    if isinstance(plain, DiagonalGaussianDistribution):
        expected = plain
    else:
        expected = next(
            getattr(plain, each) for each in ("latent_dist", "latent", "latents") if each in plain
        )
    if isinstance(expected, DiagonalGaussianDistribution):
        generator = torch.Generator().manual_seed(1)
        expected = expected.sample(generator) if mode == "sample" else expected.mode()
    assert torch.equal(read, expected)


def test_w50_the_order_is_distribution_latent_latents() -> None:
    every = SimpleNamespace(latent_dist="a", latent="b", latents="c", sample=1, mode=1)
    assert readable(every, "Vae").latent_dist == "a"
    two = SimpleNamespace(latent="b", latents="c")
    assert readable(two, "Vae").latents == "b"
    assert two.latents == "c", "the VAE's own output is not changed"


@pytest.mark.parametrize("output", [SimpleNamespace(sample=1), torch.zeros(1), {"latent": 1}, None])
def test_w50_anything_else_is_an_error_that_names_the_vae(output: Any) -> None:
    """A tensor has a mode() too: its most frequent value."""
    with pytest.raises(GenerationFailed, match=r"OddVae\.encode returned \w+, which has none of"):
        readable(output, "OddVae")


def test_w50_a_tuple_was_asked_for() -> None:
    with torch.no_grad():
        (latents,) = adapted(tiny()).encode(PICTURE, return_dict=False)
    assert latents.shape == (1, 4, 16, 16)


@pytest.mark.parametrize("shift", [None, 0.25])
def test_w51_a_shift_may_be_none(shift: float | None) -> None:
    vae = adapted(usual(shift_factor=shift), family_of("FluxPipeline"))
    assert vae.config.shift_factor == (shift or 0.0)


def test_w51_a_shift_may_be_absent() -> None:
    vae = tiny()
    vae._internal_dict = type(vae.config)(
        {name: value for name, value in vae.config.items() if name != "shift_factor"}
    )
    assert adapted(vae, family_of("FluxPipeline")).config.shift_factor == 0.0


def test_w51_a_shift_is_left_alone_where_the_calls_do_not_read_it() -> None:
    assert adapted(usual(shift_factor=None)).config.shift_factor is None


def transformer() -> Any:
    return {"transformer": SimpleNamespace(config=SimpleNamespace(in_channels=CHANNELS))}


def flux_2(vae: Any) -> Any:
    """The parts of the pipeline that the adapter touches; the methods are the real ones."""
    pipeline = Flux2KleinPipeline.__new__(Flux2KleinPipeline)
    pipeline.__dict__.update(
        _internal_dict=FrozenDict(), vae=vae, vae_scale_factor=99, **transformer()
    )
    adapt_vae(pipeline, FLUX_2)
    return pipeline


def standard() -> Any:
    torch.manual_seed(0)
    vae = AutoencoderKLFlux2(
        latent_channels=4,
        block_out_channels=(8,),
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        layers_per_block=1,
        norm_num_groups=2,
        sample_size=32,
    ).eval()
    assert vae.bn.running_mean.shape == (CHANNELS,)
    return vae


def frames_in(vae: Any, picture: Any) -> Any:
    """The shape that reaches the VAE behind its adapter."""
    seen = []

    def encode(image: Any) -> Any:
        seen.append(tuple(image.shape))
        return SimpleNamespace(latents=torch.zeros(1, 4, 1, 1))

    vae.encode = encode
    adapt_vae(SimpleNamespace(vae=vae, **transformer()), FLUX_2)
    seen.clear()
    vae.encode(picture)
    return seen[0]


@pytest.mark.parametrize(
    ("make", "given", "taken"),
    [
        (tiny, (1, 3, 1, 32, 32), (1, 3, 32, 32)),
        (tiny, (1, 3, 32, 32), (1, 3, 32, 32)),
        (tiny, (1, 3, 5, 32, 32), (1, 3, 5, 32, 32)),
        (standard, (1, 3, 1, 32, 32), (1, 3, 1, 32, 32)),
        (standard, (1, 3, 32, 32), (1, 3, 32, 32)),
    ],
)
def test_w52_a_single_frame_is_a_picture_to_a_vae_without_batch_norm(
    monkeypatch: pytest.MonkeyPatch, make: Any, given: Any, taken: Any
) -> None:
    monkeypatch.setattr("model.pipelines.vae._adapt_flux_2", lambda pipeline: None)
    assert frames_in(make(), torch.zeros(given)) == taken


def test_w52_standard_latents_are_patchified_and_patchified_ones_stay() -> None:
    latents = torch.arange(4 * 4 * 4.0).reshape(1, 4, 4, 4)
    once = patchify(latents, CHANNELS, Flux2KleinPipeline._patchify_latents)
    assert once.shape == (1, CHANNELS, 2, 2)
    assert patchify(once, CHANNELS, Flux2KleinPipeline._patchify_latents) is once


@pytest.mark.parametrize(
    ("vae", "factor"),
    [
        (tiny(latent_channels=4, halvings=1), 2),
        (tiny(latent_channels=4, halvings=3), 8),
        (tiny(latent_channels=CHANNELS, halvings=2), 2),
    ],
    ids=["standard latents", "of eight pixels", "patchified"],
)
def test_w52_a_flux_2_vae_without_batch_norm_goes_through_the_calls_own_steps(
    vae: Any, factor: int
) -> None:
    """Encode, patchify, normalise; then back, and decode: the picture has its size again."""
    pipeline = flux_2(vae)
    assert pipeline.vae_scale_factor == factor
    with torch.no_grad():
        latents = pipeline._encode_vae_image(PICTURE, generator=None)
        assert latents.shape == (1, CHANNELS, 16 // factor, 16 // factor)
        unpatchified = pipeline._unpatchify_latents(latents)
        assert torch.allclose(unpatchified, vae.encode(PICTURE).latents, atol=1e-6)
        assert vae.decode(unpatchified).sample.shape == PICTURE.shape


def test_w51_w52_shift_and_scale_stand_in_for_the_batch_norm() -> None:
    vae = tiny(shift_factor=0.5, scaling_factor=2.0)
    pipeline = flux_2(vae)
    with torch.no_grad():
        plain = pipeline._patchify_latents(vae.encode(PICTURE).latents)
        found = pipeline._encode_vae_image(PICTURE, generator=None)
    assert torch.allclose(found, (plain - 0.5) * 2.0, atol=1e-4)


def test_w52_the_standard_vae_is_left_as_it_is() -> None:
    pipeline = flux_2(standard())
    assert pipeline.vae_scale_factor == 99
    assert "_patchify_latents" not in pipeline.__dict__
    assert "_unpatchify_latents" not in pipeline.__dict__


def test_a_pipeline_without_an_encoder_is_left_alone() -> None:
    adapt_vae(SimpleNamespace(), UNKNOWN)
    adapt_vae(SimpleNamespace(vae=None), FLUX_2)
