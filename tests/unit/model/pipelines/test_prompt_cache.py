"""W43: what the text encoders made of a prompt is kept, in bounds, and the right ones are kept."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers.modeling_outputs import BaseModelOutputWithPast

from model.contract.generation import CacheUse, GenerationRequest, Sampling
from model.contract.sampling import Task
from model.pipelines.prompt_cache import PromptCache

BYTES = 4 * 8  # of one answer of the encoder for one token


class Encoder(torch.nn.Module):
    """Looks its tokens up, in the manner of transformers, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.table = torch.arange(800.0).reshape(100, 8)

    def forward(self, tokens: Any, scale: float = 1.0, memory: Any = None) -> Any:
        self.asked += 1
        found = self.table[tokens] * scale
        return BaseModelOutputWithPast(
            last_hidden_state=found, hidden_states=(found,), past_key_values=memory or object()
        )


class Pipeline:
    def __init__(self, **encoders: Any) -> None:
        self.__dict__ = encoders


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


def tokens(*values: int) -> Any:
    return torch.tensor([list(values)])


def request(prompt: str, warmup: bool = False) -> GenerationRequest:
    return GenerationRequest(
        id="a",
        task=Task.TEXT_TO_IMAGE,
        prompts=(prompt,),
        sampling=Sampling(width=16, height=16, num_inference_steps=2),
        seeds=(1,),
        warmup=warmup,
    )


def cache_of(encoder: Encoder, limit: int = 10 * BYTES) -> PromptCache:
    cache = PromptCache(limit)
    cache.wrap([Pipeline(text_encoder=encoder)])
    return cache


def test_w43_the_second_time_nothing_is_encoded_and_nothing_differs(encoder: Encoder) -> None:
    cache = cache_of(encoder)
    cache.begin(request("a"))
    first = encoder(tokens(3, 4), scale=2.0)
    again = encoder(tokens(3, 4), scale=2.0)
    assert encoder.asked == 1
    assert isinstance(again, BaseModelOutputWithPast)
    assert torch.equal(again.last_hidden_state, first.last_hidden_state)
    assert again.hidden_states[0] is again[0], "what was one tensor stays one"
    assert again.past_key_values is None, "not kept: nobody reads it"
    assert cache.use == CacheUse(hits=1, misses=1, bytes=2 * BYTES)
    cache.begin(request("b"))
    assert cache.use == CacheUse(bytes=2 * BYTES)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((tokens(3, 5),), {"scale": 2.0}),
        ((tokens(3, 4),), {"scale": 3.0}),
        ((tokens(3, 4),), {}),
        ((tokens(3, 4).to(torch.int32),), {"scale": 2.0}),
        ((tokens(3, 4).T,), {"scale": 2.0}),
    ],
    ids=["tokens", "argument", "no argument", "type", "shape"],
)
def test_w43_other_inputs_are_other_entries(encoder: Encoder, given: Any, named: Any) -> None:
    cache_of(encoder)
    encoder(tokens(3, 4), scale=2.0)
    encoder(*given, **named)
    assert encoder.asked == 2


def test_w43_the_adapter_is_part_of_the_key(encoder: Encoder) -> None:
    cache = cache_of(encoder)
    for adapter in ("", "style", ""):
        cache.adapter = adapter
        encoder(tokens(1))
    assert encoder.asked == 2


def test_w43_two_encoders_do_not_answer_for_each_other() -> None:
    first, second = Encoder(), Encoder()
    second.table = second.table + 1
    PromptCache(100 * BYTES).wrap([Pipeline(text_encoder=first, text_encoder_2=second)])
    assert not torch.equal(first(tokens(1))[0], second(tokens(1))[0])


def test_w43_what_is_handed_out_may_be_written_to(encoder: Encoder) -> None:
    cache_of(encoder)
    expected = encoder(tokens(3))[0].clone()
    for _ in range(3):
        found = encoder(tokens(3))[0]
        assert torch.equal(found, expected)
        found.zero_()


def test_w43_pipelines_that_share_an_encoder_share_its_memory(encoder: Encoder) -> None:
    cache = PromptCache(10 * BYTES)
    cache.wrap(
        [Pipeline(text_encoder=encoder), Pipeline(text_encoder=encoder, text_encoder_2=None)]
    )
    cache.begin(request("a"))
    encoder(tokens(1))
    encoder(tokens(1))
    assert cache.use == CacheUse(hits=1, misses=1, bytes=BYTES)


def test_w43_off_is_off(encoder: Encoder) -> None:
    cache = cache_of(encoder, limit=0)
    encoder(tokens(1))
    encoder(tokens(1))
    assert encoder.asked == 2
    assert cache.use == CacheUse()


def test_w43_a_conversation_is_no_prompt(encoder: Encoder) -> None:
    """An encoder that also generates text is given its own memory back: no key covers that."""
    cache = cache_of(encoder)
    for _ in range(2):
        encoder(tokens(1), memory=object())
    assert encoder.asked == 2
    assert cache.use == CacheUse()


def test_w43_it_stays_within_its_bytes_and_the_longest_unused_goes_first(encoder: Encoder) -> None:
    cache = cache_of(encoder, limit=2 * BYTES)
    cache.begin(request("a"))
    for token in (1, 2, 1, 3):
        encoder(tokens(token))
    assert cache.size == 2 * BYTES
    encoder.asked = 0
    encoder(tokens(1))
    assert encoder.asked == 0, "used since"
    encoder(tokens(2))
    assert encoder.asked == 1, "gone"
    encoder(tokens(1, 2, 3))
    assert cache.size == 2 * BYTES, "what is too large is not kept, and pushes nothing out"
    encoder.asked = 0
    encoder(tokens(2))
    assert encoder.asked == 0


NEGATIVE, WARMUP, USER, NEW = 1, 2, 3, 4


def test_w43_the_negative_prompt_stays_and_what_only_warmup_used_goes_first(
    encoder: Encoder,
) -> None:
    """The negative prompt of the warmup is the one that every user's request has."""
    cache = cache_of(encoder, limit=3 * BYTES)
    cache.begin(request("warmup", warmup=True))
    encoder(tokens(NEGATIVE))
    cache.begin(request("warmup 2", warmup=True))
    encoder(tokens(NEGATIVE))
    cache.begin(request("a fox"))
    encoder(tokens(USER))
    cache.begin(request("warmup 3", warmup=True))
    encoder(tokens(WARMUP))
    assert kept(encoder, NEGATIVE, WARMUP, USER)

    cache.begin(request("a ball"))
    encoder(tokens(NEW))
    assert not kept(encoder, WARMUP), "although it was used last"
    assert kept(encoder, NEGATIVE, USER, NEW)

    for token in range(10, 30):
        cache.begin(request(f"prompt {token}"))
        encoder(tokens(token))
    assert kept(encoder, NEGATIVE), "although it was not used for long"
    assert not kept(encoder, USER, NEW)


def kept(encoder: Encoder, *values: int) -> bool:
    """Whether all of them are in the cache; looks without touching."""
    remembering: Any = encoder.forward
    entries = remembering._cache._entries.values()
    held = [each.leaves[0].flatten()[0].item() for each in entries]
    return all(encoder.table[value][0].item() in held for value in values)


def test_w43_a_seed_gives_the_same_picture_with_a_hit_and_without() -> None:
    """The embedded model, in batches too; and a negative prompt is encoded once."""
    from model.pipelines.calls import run
    from model.pipelines.loader import load
    from model.pipelines.location import locate

    plain = load(locate("embedded://"), "cpu", "auto").pipelines
    remembering = load(locate("embedded://"), "cpu", "auto").pipelines
    cache = PromptCache(2**20)
    cache.wrap(remembering.values())
    fox = replace(
        request("a red fox"),
        sampling=Sampling(width=32, height=32, num_inference_steps=2, guidance_scale=2.0),
        negative_prompts=("",),
        cfg=True,
    )
    both = replace(fox, num_images_per_prompt=2, seeds=(1, 2))
    two = replace(
        fox, prompts=("a red fox", "a blue ball"), negative_prompts=("", ""), seeds=(1, 2)
    )
    uses = []
    for each in (fox, fox, both, two, two, replace(fox, prompts=("a blue ball",))):
        cache.begin(each)
        expected = run(plain[each.task], each, lambda step, of: None).pixels
        found = run(remembering[each.task], each, lambda step, of: None).pixels
        assert (found == expected).all()
        uses.append((cache.use.hits, cache.use.misses))
    assert uses == [(0, 2), (2, 0), (2, 0), (0, 2), (2, 0), (1, 1)]
