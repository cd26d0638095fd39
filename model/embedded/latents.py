"""A pool of pictures that are planned, drawn and encoded once, then used several times with new
noise.

Drawing and encoding cost more than a training step; the pool spreads that cost.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from .libraries import Autoencoder
from .plan import Plan, random_plan
from .render import Renderer
from .tokenizer import LONGEST_CAPTION
from .train_vae import moments
from .training import log, mixed_precision

ENCODED_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class LatentPool:
    """Latents (n, 4, 32, 32) in half precision and caption tokens (n, 24), on one device."""

    latents: Tensor
    tokens: Tensor

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """The whole pool once in random order, in full batches."""
        order = torch.randperm(len(self.latents), generator=generator, device=self.latents.device)
        for rows in torch.split(order[: len(order) // size * size], size):
            yield self.latents[rows].float(), self.tokens[rows]


def caption_tokens(tokenizer: CLIPTokenizer, captions: tuple[str, ...]) -> Tensor:
    """Token numbers (n, 24), padded as the pipeline pads them."""
    encoded = tokenizer(
        list(captions),
        padding="max_length",
        truncation=True,
        max_length=LONGEST_CAPTION,
        return_tensors="pt",
    )
    tokens: Tensor = encoded.input_ids
    return tokens


def fill_pool(
    size: int,
    renderer: Renderer,
    vae: Autoencoder,
    tokenizer: CLIPTokenizer,
    generator: np.random.Generator,
) -> LatentPool:
    plan = random_plan(renderer.objects, size, generator)
    log("pool_planned", size=size)
    pool = LatentPool(
        _encoded(plan, renderer, vae), caption_tokens(tokenizer, plan.captions).to(renderer.device)
    )
    log("pool_filled", deviation=float(pool.latents.float().std()))
    return pool


@torch.no_grad()
def _encoded(plan: Plan, renderer: Renderer, vae: Autoencoder) -> Tensor:
    latents = []
    for start in range(0, len(plan), ENCODED_AT_ONCE):
        pictures = renderer.draw(plan.part(start, start + ENCODED_AT_ONCE)) * 2 - 1
        with mixed_precision(renderer.device.type):
            latents.append(moments(vae, pictures)[0].half())
    return torch.cat(latents)
