"""Which of a repository's files are fetched."""

import json

import pytest

from model.errors import ModelNotLoadable
from model.sources.listing import RemoteFile
from model.sources.needed import needed

INDEX = {
    "_class_name": "FluxPipeline",
    "_diffusers_version": "0.42.0",
    "transformer": ["diffusers", "FluxTransformer2DModel"],
    "tokenizer": ["transformers", "T5TokenizerFast"],
    "safety_checker": [None, None],
    "boundary_ratio": 0.9,
}
WEIGHTS = "transformer/diffusion_pytorch_model-00001-of-00002.safetensors"


def chosen(*paths: str) -> list[str]:
    files = [RemoteFile(each, 1, "") for each in ("model_index.json", *paths)]
    return [each.path for each in needed(files, json.dumps(INDEX).encode(), "hf://acme/flux")][1:]


@pytest.mark.parametrize(
    "path",
    [
        "generation_config.json",
        "tokenizer/spiece.model",
        "tokenizer/merges.txt",
        "tokenizer/chat_template.jinja",
        "transformer/diffusion_pytorch_model.safetensors.index.json",
        "transformer/deeper/model.safetensors",
    ],
)
def test_what_loading_reads_is_needed(path: str) -> None:
    assert path in chosen(WEIGHTS, "tokenizer/vocab.json", path)


@pytest.mark.parametrize(
    "path",
    [
        "flux1-dev.safetensors",
        "README.md",
        "transformer/diffusion_pytorch_model.bin",
        "transformer/model.onnx_data",
        "transformer/flax_model.msgpack",
        "transformer/modeling.py",
        "safety_checker/model.safetensors",
        "transformer_backup/model.safetensors",
        "transformer/../../etc/passwd.json",
        "/etc/passwd.json",
        "",
    ],
)
def test_nothing_else_is(path: str) -> None:
    assert chosen(WEIGHTS, "tokenizer/vocab.json", path) == [WEIGHTS, "tokenizer/vocab.json"]


@pytest.mark.parametrize(
    "variant",
    [
        "transformer/diffusion_pytorch_model.fp16.safetensors",
        "transformer/diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
        "transformer/diffusion_pytorch_model-00001-of-00002.fp16.safetensors",
        "transformer/diffusion_pytorch_model.non_ema.safetensors",
    ],
)
def test_of_several_variants_only_the_plain_one_is(variant: str) -> None:
    tokenizer = "tokenizer/vocab.json"
    assert chosen(WEIGHTS, tokenizer, variant) == [WEIGHTS, tokenizer]
    assert variant in chosen("transformer/model.safetensors", tokenizer, variant)
    assert variant in chosen("tokenizer/diffusion_pytorch_model.safetensors", variant)


def test_c14_a_component_that_is_missing_is_named() -> None:
    with pytest.raises(ModelNotLoadable, match="its component 'tokenizer' is missing"):
        chosen(WEIGHTS)
