"""Tiny pipelines of the families that read pictures by transformers' processors, or clean their
texts by ftfy: FLUX.2, the editors of Qwen-Image, and Wan 2.1's image-to-video.
"""

from typing import Any, Final

from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    Flux2Pipeline,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    WanImageToVideoPipeline,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    PixtralImageProcessor,
    PixtralProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from tests.integration.families import parts, tiny
from tests.integration.families.parts import CHAT, WIDTH

PIXTRAL_TOKENS: Final = ("<s>", "</s>", "<pad>", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
TOKENS: Final = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<pad>",
}


def clip_vision() -> Any:
    return CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            intermediate_size=WIDTH,
            patch_size=8,
        )
    )


def clip_images() -> Any:
    return CLIPImageProcessor(crop_size=32, size=32)


def qwen_processor() -> Any:
    """Looks at pictures of at most 56x56 pixels: reading is not what is tested here."""
    limits = {"min_pixels": 28 * 28, "max_pixels": 56 * 56}
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**limits),
        tokenizer=parts.qwen_tokenizer(),
        video_processor=Qwen2VLVideoProcessor(**limits),
        chat_template=CHAT,
    )


def pixtral_processor() -> Any:
    tokens = (*PIXTRAL_TOKENS, *sorted(ByteLevel.alphabet()))
    tokenizer = Qwen2Tokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=[],
        **TOKENS,
        additional_special_tokens=list(PIXTRAL_TOKENS),
        model_max_length=512,
    )
    return PixtralProcessor(PixtralImageProcessor(), tokenizer, chat_template=CHAT)


def mistral_3() -> Any:
    return Mistral3ForConditionalGeneration(
        Mistral3Config(
            text_config={
                "model_type": "mistral",
                "vocab_size": len(PIXTRAL_TOKENS) + 256,
                "hidden_size": WIDTH,
                "intermediate_size": WIDTH,
                # The call reads the hidden states after layers 10, 20 and 30.
                "num_hidden_layers": 30,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "head_dim": 8,
            },
            vision_config={
                "model_type": "pixtral",
                "hidden_size": WIDTH,
                "intermediate_size": WIDTH,
                "num_hidden_layers": 1,
                "num_attention_heads": 4,
                "image_size": 32,
                "patch_size": 8,
            },
            image_token_index=PIXTRAL_TOKENS.index("[IMG]"),
        )
    )


def flux_2() -> Any:
    return Flux2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=tiny.flux_2_vae(),
        text_encoder=mistral_3(),
        tokenizer=pixtral_processor(),
        transformer=tiny.flux_2_transformer(3 * WIDTH, guidance=True),
    )


def qwen_image_edit() -> Any:
    return QwenImageEditPipeline(processor=qwen_processor(), **tiny.qwen_parts())


def qwen_image_edit_plus() -> Any:
    return QwenImageEditPlusPipeline(processor=qwen_processor(), **tiny.qwen_parts())


def wan_image_to_video(pictures: int | None = None) -> Any:
    """As Wan 2.1: the picture is read by CLIP too."""
    tokens = (32 // 8) ** 2 + 1  # of CLIP, for one picture
    return WanImageToVideoPipeline(
        transformer=tiny.wan_transformer(
            36,
            image_dim=WIDTH,
            added_kv_proj_dim=None,
            pos_embed_seq_len=pictures and pictures * tokens,
        ),
        image_encoder=clip_vision(),
        image_processor=clip_images(),
        **tiny.wan_parts(),
    )


def wan_frames_to_video() -> Any:
    """As Wan 2.1's FLF2V: CLIP reads two pictures."""
    return wan_image_to_video(pictures=2)


def wan_of_one_frame_or_two() -> Any:
    """As Wan 2.2's I2V: without CLIP."""
    return WanImageToVideoPipeline(transformer=tiny.wan_transformer(36), **tiny.wan_parts())
