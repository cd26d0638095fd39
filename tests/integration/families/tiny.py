"""A tiny pipeline of each family, of the real classes. Each draws 64x64 pixels by default."""

from typing import Any

from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLFlux2,
    AutoencoderKLLTXVideo,
    AutoencoderKLQwenImage,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    LTXConditionPipeline,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    PNDMScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
    WanVideoToVideoPipeline,
    ZImagePipeline,
    ZImageTransformer2DModel,
)

from tests.integration.families import parts

WIDTH = parts.WIDTH
UNET: dict[str, Any] = {
    "sample_size": 32,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 8,
}


def stable_diffusion() -> Any:
    return StableDiffusionPipeline(
        vae=parts.kl_vae(),
        text_encoder=parts.clip_text(),
        tokenizer=parts.clip_tokenizer(),
        unet=UNet2DConditionModel(cross_attention_dim=WIDTH, attention_head_dim=4, **UNET),
        scheduler=PNDMScheduler(skip_prk_steps=True, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl() -> Any:
    return StableDiffusionXLPipeline(
        vae=parts.kl_vae(),
        text_encoder=parts.clip_text(),
        text_encoder_2=parts.clip_text(projected=True),
        tokenizer=parts.clip_tokenizer(),
        tokenizer_2=parts.clip_tokenizer(),
        unet=UNet2DConditionModel(
            cross_attention_dim=2 * WIDTH,
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            transformer_layers_per_block=(1, 1),
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
            **UNET,
        ),
        scheduler=EulerDiscreteScheduler(),
    )


def stable_diffusion_3() -> Any:
    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=32,
            patch_size=2,
            in_channels=16,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=WIDTH,
            caption_projection_dim=WIDTH,
            pooled_projection_dim=2 * WIDTH,
            out_channels=16,
        ),
        vae=parts.kl_vae(latent_channels=16, shift_factor=0.06),
        text_encoder=parts.clip_text(projected=True),
        tokenizer=parts.clip_tokenizer(),
        text_encoder_2=parts.clip_text(projected=True),
        tokenizer_2=parts.clip_tokenizer(),
        text_encoder_3=parts.t5_text(),
        tokenizer_3=parts.t5_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )


def _flux(kind: Any) -> Any:
    return kind(
        transformer=FluxTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH,
            guidance_embeds=True,
            axes_dims_rope=(4, 4, 8),
        ),
        # W51: without a shift; what subtracts it fails at None.
        vae=parts.kl_vae(),
        text_encoder=parts.clip_text(),
        tokenizer=parts.clip_tokenizer(),
        text_encoder_2=parts.t5_text(),
        tokenizer_2=parts.t5_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    )


def flux() -> Any:
    return _flux(FluxPipeline)


def flux_kontext() -> Any:
    return _flux(FluxKontextPipeline)


def flux_2_transformer(joint: int, guidance: bool) -> Any:
    return Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=joint,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=guidance,
    )


def flux_2_vae() -> Any:
    return AutoencoderKLFlux2(
        latent_channels=4,
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
    )


def flux_2_klein(vae: Any = None, is_distilled: bool = False) -> Any:
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae or flux_2_vae(),
        # The call reads the hidden states after layers 9, 18 and 27.
        text_encoder=parts.qwen_3(layers=27),
        tokenizer=parts.qwen_tokenizer(),
        transformer=flux_2_transformer(3 * WIDTH, guidance=False),
        is_distilled=is_distilled,
    )


def z_image() -> Any:
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=parts.kl_vae(latent_channels=16),
        text_encoder=parts.qwen_3().model,
        tokenizer=parts.qwen_tokenizer(),
        transformer=ZImageTransformer2DModel(
            in_channels=16,
            dim=WIDTH,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=WIDTH,
            axes_dims=[4, 4, 8],
            axes_lens=[512, 64, 64],
        ),
    )


def qwen_parts() -> dict[str, Any]:
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "vae": AutoencoderKLQwenImage(
            base_dim=4,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        ),
        "text_encoder": parts.qwen_2_5_vl(),
        "tokenizer": parts.qwen_tokenizer(),
        "transformer": QwenImageTransformer2DModel(
            patch_size=2,
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            guidance_embeds=False,
            axes_dims_rope=(4, 4, 8),
        ),
    }


def qwen_image() -> Any:
    return QwenImagePipeline(**qwen_parts())


def wan_transformer(in_channels: int, **known: Any) -> Any:
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=in_channels,
        out_channels=16,
        text_dim=WIDTH,
        freq_dim=32,
        ffn_dim=WIDTH,
        num_layers=1,
        rope_max_seq_len=32,
        **known,
    )


def wan_parts() -> dict[str, Any]:
    return {
        "tokenizer": parts.t5_tokenizer(),
        "text_encoder": parts.umt5_text(),
        "vae": AutoencoderKLWan(
            base_dim=4,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
        ),
        "scheduler": UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
    }


def wan(expand_timesteps: bool = False) -> Any:
    return WanPipeline(
        transformer=wan_transformer(16), expand_timesteps=expand_timesteps, **wan_parts()
    )


def wan_video_to_video() -> Any:
    return WanVideoToVideoPipeline(transformer=wan_transformer(16), **wan_parts())


def _cogvideox_parts(in_channels: int = 4) -> dict[str, Any]:
    return {
        "tokenizer": parts.t5_tokenizer(),
        "text_encoder": parts.t5_text(),
        "vae": AutoencoderKLCogVideoX(
            latent_channels=4,
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            norm_num_groups=2,
        ),
        "transformer": CogVideoXTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=in_channels,
            out_channels=4,
            time_embed_dim=8,
            text_embed_dim=WIDTH,
            num_layers=1,
            sample_width=8,
            sample_height=8,
            sample_frames=9,
            use_rotary_positional_embeddings=in_channels > 4,
        ),
        "scheduler": CogVideoXDDIMScheduler(),
    }


def cogvideox() -> Any:
    return CogVideoXPipeline(**_cogvideox_parts())


def cogvideox_image_to_video() -> Any:
    return CogVideoXImageToVideoPipeline(**_cogvideox_parts(in_channels=8))


def _ltx_parts() -> dict[str, Any]:
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=False),
        "vae": AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1),
        ),
        "text_encoder": parts.t5_text(),
        "tokenizer": parts.t5_tokenizer(),
        "transformer": LTXVideoTransformer3DModel(
            in_channels=8,
            out_channels=8,
            patch_size=1,
            patch_size_t=1,
            num_attention_heads=4,
            attention_head_dim=8,
            cross_attention_dim=WIDTH,
            num_layers=1,
            caption_channels=WIDTH,
        ),
    }


def ltx_video() -> Any:
    return LTXPipeline(**_ltx_parts())


def ltx_condition() -> Any:
    return LTXConditionPipeline(**_ltx_parts())


class LettersToPictures(StableDiffusionPipeline):  # type: ignore[misc]
    """In no table: it is served by its call's signature."""
