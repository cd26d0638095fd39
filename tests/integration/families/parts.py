"""The parts that tiny pipelines are made of: real classes of diffusers and transformers, of random
weights and few channels. Tokenizers are made here, from the embedded model's or from single
letters, so that nothing is fetched.
"""

import string
from typing import Any, Final

from diffusers import AutoencoderKL
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

from model.embedded import PIPELINE_FOLDER

WIDTH: Final = 32
LETTERS: Final = string.ascii_letters + string.digits + string.punctuation
CHAT: Final = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
)
QWEN_TOKENS: Final = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


# -- CLIP ---------------------------------------------------------------------------------------


def clip_tokenizer() -> Any:
    return CLIPTokenizer.from_pretrained(PIPELINE_FOLDER / "tokenizer")


def clip_text(projected: bool = False) -> Any:
    tokenizer = clip_tokenizer()
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    return kind(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            max_position_embeddings=tokenizer.model_max_length,
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            num_attention_heads=4,
            num_hidden_layers=2,
            projection_dim=WIDTH,
        )
    )


# -- T5 -----------------------------------------------------------------------------------------


def t5_tokenizer() -> Any:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(letter, -3.0) for letter in LETTERS]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=64)


def t5_text() -> Any:
    return T5EncoderModel(_t5(T5Config))


def umt5_text() -> Any:
    return UMT5EncoderModel(_t5(UMT5Config))


def _t5(kind: Any) -> Any:
    return kind(
        vocab_size=len(LETTERS) + 4, d_model=WIDTH, d_kv=8, d_ff=WIDTH, num_layers=2, num_heads=4
    )


# -- Qwen ----------------------------------------------------------------------------------------


def qwen_tokenizer() -> Any:
    tokens = (*QWEN_TOKENS, *sorted(ByteLevel.alphabet()))
    return Qwen2Tokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=[],
        additional_special_tokens=list(QWEN_TOKENS),
        chat_template=CHAT,
        model_max_length=1024,
    )


def qwen_3(layers: int = 2) -> Any:
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(qwen_tokenizer()),
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
        )
    )


def qwen_2_5_vl() -> Any:
    ids = {token: number for number, token in enumerate(QWEN_TOKENS)}
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(qwen_tokenizer()),
                "hidden_size": WIDTH,
                "intermediate_size": WIDTH,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "bos_token_id": None,
                "eos_token_id": None,
                "rope_parameters": {
                    "mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6
                },
            },
            vision_config={
                "depth": 2,
                "hidden_size": WIDTH,
                "intermediate_size": WIDTH,
                "num_heads": 4,
                "out_hidden_size": WIDTH,
                "fullatt_block_indexes": [1],
                "window_size": 56,
            },
            image_token_id=ids["<|image_pad|>"],
            video_token_id=ids["<|video_pad|>"],
            vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|vision_end|>"],
        )
    )  # fmt: skip


# -- VAEs ---------------------------------------------------------------------------------------


def kl_vae(latent_channels: int = 4, **known: Any) -> Any:
    """Halves the size once."""
    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=64,
        **known,
    )
