"""The model's parts, sized so that the whole pipeline folder stays below 10 MB in fp16.

Stock classes only: any diffusers program loads the folder without Kiln.
"""

from typing import Final

import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .libraries import (
    Autoencoder,
    AutoencoderKL,
    DDIMScheduler,
    Denoiser,
    Scheduler,
    UNet2DConditionModel,
)
from .palette import PICTURE_SIDE
from .tokenizer import END, LONGEST_CAPTION, START

LATENT_CHANNELS: Final = 4
LATENT_SHRINKAGE: Final = 4
TEXT_WIDTH: Final = 96
VOCABULARY_SIZE: Final = 2400
# At the library's own start (deviation 1) noise hides the signal and training stalls for hundreds
# of steps.
INITIAL_LOG_VARIANCE: Final = -8.0


def make_vae() -> Autoencoder:
    """128x128x3 to 32x32x4 and back.

    Two norm groups: a group of few channels wipes out flat colour, which is most of these pictures.
    """
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 48, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=2,
        mid_block_add_attention=False,
        sample_size=PICTURE_SIDE,
        scaling_factor=1.0,
        force_upcast=False,
    )
    with torch.no_grad():
        vae.quant_conv.weight[LATENT_CHANNELS:] *= 0.1
        vae.quant_conv.bias[LATENT_CHANNELS:] = INITIAL_LOG_VARIANCE
    return vae


def make_denoiser() -> Denoiser:
    """The network that predicts velocity in latents (n, 4, 32, 32) from a caption (n, 24, 96)."""
    return UNet2DConditionModel(
        sample_size=PICTURE_SIDE // LATENT_SHRINKAGE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 80, 96),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        # The number of heads a level, whatever the name says: a naming mistake that diffusers
        # keeps for old models.
        attention_head_dim=(4, 5, 6),
        norm_num_groups=8,
    )


def make_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    start, end = (_token(tokenizer, each) for each in (START, END))
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=LONGEST_CAPTION,
            projection_dim=TEXT_WIDTH,
            hidden_act="quick_gelu",
            bos_token_id=start,
            eos_token_id=end,
            pad_token_id=end,
        )
    )


def _token(tokenizer: CLIPTokenizer, text: str) -> int:
    number = tokenizer.convert_tokens_to_ids(text)
    assert isinstance(number, int)
    return number


def make_scheduler() -> Scheduler:
    """Zero terminal signal: the first step starts from pure noise, so a flat background can have
    any colour.
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
    )


def millions_of_parameters(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6
