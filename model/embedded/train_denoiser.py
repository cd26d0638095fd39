"""Train the denoiser and the text encoder together, from scratch, on pooled latents."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from .latents import fill_pool
from .libraries import Autoencoder, Denoiser
from .networks import (
    make_denoiser,
    make_scheduler,
    make_text_encoder,
    millions_of_parameters,
)
from .render import Renderer
from .training import Average, Budget, Stepper, compiled, log, mixed_precision

# min-SNR weighting: steps with little noise count no more than this many times the noisiest.
SIGNAL_CAP: Final = 5.0


@dataclass(frozen=True, slots=True)
class DenoiserSettings:
    """Batch size, most steps, most minutes, peak learning rate, pool size and how often a pool is
    used.
    """

    batch: int = 768
    steps: int = 13412
    minutes: float = 240.0
    rate: float = 1e-3
    average: float = 0.9995
    pool: int = 262144
    uses: int = 20
    log_every: int = 100
    save_every: int = 1000
    compile: bool = False


@dataclass(slots=True)
class Drawer:
    """The two networks that training changes."""

    denoiser: Denoiser
    text_encoder: CLIPTextModel

    @classmethod
    def untrained(cls, tokenizer: CLIPTokenizer) -> "Drawer":
        return cls(make_denoiser(), make_text_encoder(tokenizer))

    def modules(self) -> nn.ModuleList:
        return nn.ModuleList([self.denoiser, self.text_encoder])


class VelocityLoss:
    """The weighted error of the predicted velocity at random noise levels."""

    def __init__(
        self, drawer: Drawer, device: str, generator: torch.Generator, compiling: bool
    ) -> None:
        kept = make_scheduler().alphas_cumprod.to(device)
        self.signal, self.noise = kept.sqrt(), (1 - kept).sqrt()
        ratio = kept / (1 - kept)
        # With +1: the plain min(ratio, cap) / (ratio + 1) is 0 at zero signal, and the first step
        # would never be trained.
        self.weight = (ratio + 1).clamp(max=SIGNAL_CAP) / (ratio + 1)
        self.device, self.generator, self.text_encoder = device, generator, drawer.text_encoder
        denoiser = drawer.denoiser
        self.predict = compiled(
            lambda z, t, text: denoiser(z, t, text, return_dict=False)[0], compiling
        )

    def __call__(self, latents: Tensor, tokens: Tensor) -> Tensor:
        noise = torch.randn(latents.shape, generator=self.generator, device=self.device)
        times = self._times(len(latents))
        signal, noisiness = (
            self.signal[times, None, None, None],
            self.noise[times, None, None, None],
        )
        with mixed_precision(self.device):
            text = self.text_encoder(tokens).last_hidden_state
            velocity = self.predict(signal * latents + noisiness * noise, times, text)
        error = velocity.float() - (signal * noise - noisiness * latents)
        loss: Tensor = (self.weight[times] * error.square().mean((1, 2, 3))).mean()
        return loss

    def _times(self, count: int) -> Tensor:
        """Noise levels spread evenly over the batch: less noise in the loss than independent
        draws.
        """
        offset = torch.rand(1, generator=self.generator, device=self.device)
        spread = (offset + torch.arange(count, device=self.device) / count) % 1
        order = torch.randperm(count, generator=self.generator, device=self.device)
        return (spread * len(self.weight)).long().clamp(max=len(self.weight) - 1)[order]


def train_denoiser(
    drawer: Drawer,
    renderer: Renderer,
    vae: Autoencoder,
    tokenizer: CLIPTokenizer,
    generator: np.random.Generator,
    settings: DenoiserSettings,
    save: Callable[[Drawer], None],
) -> Drawer:
    """Train in place and return the averaged networks; ``save`` gets them now and then."""
    device = renderer.device.type
    modules = drawer.modules().to(device)
    noise_generator = torch.Generator(device).manual_seed(int(generator.integers(2**31)))
    loss_of = VelocityLoss(drawer, device, noise_generator, settings.compile)
    budget = Budget(settings.steps, settings.minutes)
    stepper = Stepper(list(modules.parameters()), settings.rate, budget, weight_decay=0.01)
    average = Average(modules, settings.average)
    log("denoiser", **{name: millions_of_parameters(part) for name, part in _parts(drawer).items()})
    recent: list[Tensor] = []
    for step, (latents, tokens) in enumerate(
        _stream(renderer, vae, tokenizer, generator, noise_generator, settings)
    ):
        if budget.used(step) >= 1:
            break
        loss = loss_of(latents, tokens)
        stepper.step(loss, step)
        average.update(step + 1)
        recent = [*recent[-settings.log_every + 1 :], loss.detach()]
        if (step + 1) % settings.log_every == 0:
            log(
                "denoiser",
                step=step + 1,
                used=budget.used(step),
                loss=torch.stack(recent).mean().item(),
            )
        if (step + 1) % settings.save_every == 0:
            save(_averaged(average))
    log(
        "denoiser_done",
        steps=step,
        samples=step * settings.batch,
        loss=torch.stack(recent).mean().item(),
    )
    return _averaged(average)


def _parts(drawer: Drawer) -> dict[str, nn.Module]:
    return {"denoiser_millions": drawer.denoiser, "text_millions": drawer.text_encoder}


def _averaged(average: Average) -> Drawer:
    denoiser, text_encoder = average.module.children()
    return Drawer(denoiser, text_encoder)  # type: ignore[arg-type]


def _stream(
    renderer: Renderer,
    vae: Autoencoder,
    tokenizer: CLIPTokenizer,
    generator: np.random.Generator,
    noise_generator: torch.Generator,
    settings: DenoiserSettings,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end; a new pool after each has been used ``settings.uses`` times."""
    while True:
        pool = fill_pool(settings.pool, renderer, vae, tokenizer, generator)
        for _ in itertools.repeat(None, settings.uses):
            yield from pool.batches(settings.batch, noise_generator)
