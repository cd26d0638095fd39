"""Train the autoencoder: it sets how sharp any picture of this model can be.

Besides brightness the loss compares differences between neighbours, which keeps edges; noise on
the latents teaches the decoder to draw clean edges from the small errors that a denoiser leaves.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from .libraries import Autoencoder
from .networks import INITIAL_LOG_VARIANCE, LATENT_CHANNELS, make_vae
from .plan import Mix, random_plan
from .render import Renderer
from .training import Average, Budget, Stepper, compiled, log, mixed_precision

LARGEST_LATENT_NOISE: Final = 0.1
SILENT_CHANNEL: Final = 0.05
EDGE_WEIGHT: Final = 0.7
SQUARE_WEIGHT: Final = 0.5
DIVERGENCE_WEIGHT: Final = 1e-6
# The autoencoder needs no captions.
WORDLESS: Final = Mix(silent=1.0)


@dataclass(frozen=True, slots=True)
class VaeSettings:
    """Batch size, most steps, most minutes, peak learning rate and how the weights are averaged."""

    batch: int = 128
    steps: int = 7454
    minutes: float = 60.0
    rate: float = 2e-3
    average: float = 0.998
    log_every: int = 100
    compile: bool = False


def moments(vae: Autoencoder, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance of the latents (n, 4, 32, 32) of pictures in -1 to 1."""
    mean, log_variance = vae.quant_conv(vae.encoder(pictures)).float().chunk(2, dim=1)
    return mean, log_variance.clamp(-30, 20)


def decoded(vae: Autoencoder, latents: Tensor) -> Tensor:
    pictures: Tensor = vae.decoder(vae.post_quant_conv(latents)).float()
    return pictures


def edge_loss(first: Tensor, second: Tensor) -> Tensor:
    """Mean difference of the steps between neighbouring pixels, across and down."""
    across = (first.diff(dim=-1) - second.diff(dim=-1)).abs().mean()
    return across + (first.diff(dim=-2) - second.diff(dim=-2)).abs().mean()


def sampled(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A draw from the posterior, with up to LARGEST_LATENT_NOISE of each channel's deviation on
    top.
    """
    spread = mean.detach().std((0, 2, 3), keepdim=True)
    amount = LARGEST_LATENT_NOISE * torch.rand(len(mean), 1, 1, 1, device=mean.device)
    noisy = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
    return noisy + amount * spread * torch.randn_like(mean)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence from the unit normal, summed over a latent."""
    each = mean.square() + log_variance.exp() - 1 - log_variance
    return 0.5 * each.sum((1, 2, 3)).mean()


def signal_to_noise(first: Tensor, second: Tensor) -> float:
    """Peak signal to noise in dB of pictures in -1 to 1."""
    return 10 * math.log10(4 / float(functional.mse_loss(first, second)))


def train_vae(
    renderer: Renderer, generator: np.random.Generator, settings: VaeSettings
) -> Autoencoder:
    """Train from scratch on random plans and return the averaged, whitened autoencoder."""
    device = renderer.device.type
    vae = make_vae().to(device)
    budget = Budget(settings.steps, settings.minutes)
    stepper = Stepper(list(vae.parameters()), settings.rate, budget, weight_decay=1e-4)
    average = Average(vae, settings.average)
    reconstruct = compiled(lambda pictures: _reconstruction_loss(vae, pictures), settings.compile)
    step = 0
    while budget.used(step) < 1:
        pictures = _pictures(renderer, generator, settings.batch)
        with mixed_precision(device):
            loss, output = reconstruct(pictures)
        stepper.step(loss, step)
        step += 1
        average.update(step)
        if step % settings.log_every == 0:
            quality = signal_to_noise(output.detach(), pictures)
            log("vae", step=step, used=budget.used(step), loss=loss.item(), psnr=quality)
    log("vae_done", steps=step)
    return whitened(average.module, renderer, generator, settings.batch)


def _pictures(renderer: Renderer, generator: np.random.Generator, count: int) -> Tensor:
    return renderer.draw(random_plan(renderer.objects, count, generator, WORDLESS)) * 2 - 1


def _reconstruction_loss(vae: Autoencoder, pictures: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_variance = moments(vae, pictures)
    output = decoded(vae, sampled(mean, log_variance))
    brightness = (output - pictures).abs().mean()
    square = functional.mse_loss(output, pictures)
    loss = brightness + EDGE_WEIGHT * edge_loss(output, pictures) + SQUARE_WEIGHT * square
    return loss + DIVERGENCE_WEIGHT * divergence(mean, log_variance), output


@torch.no_grad()
def whitened(
    vae: Autoencoder, renderer: Renderer, generator: np.random.Generator, batch: int
) -> Autoencoder:
    """Fold each latent channel's mean and deviation into the 1x1 convolutions, so that
    scaling_factor is 1.
    """
    pictures = [_pictures(renderer, generator, batch) for _ in range(max(1, 2048 // batch))]
    means = torch.cat([moments(vae, part)[0] for part in pictures])
    before = signal_to_noise(decoded(vae, means[:batch]).clamp(-1, 1), pictures[0])
    centre, spread = means.mean((0, 2, 3)), means.std((0, 2, 3))
    entry, leave = vae.quant_conv, vae.post_quant_conv
    entry.weight[:LATENT_CHANNELS] /= spread[:, None, None, None]
    entry.bias[:LATENT_CHANNELS] = (entry.bias[:LATENT_CHANNELS] - centre) / spread
    entry.bias[LATENT_CHANNELS:] -= 2 * spread.log()
    leave.bias += leave.weight[:, :, 0, 0] @ centre
    leave.weight *= spread[None, :, None, None]
    silence(vae, spread < SILENT_CHANNEL * spread.max())
    after = signal_to_noise(decoded(vae, moments(vae, pictures[0])[0]).clamp(-1, 1), pictures[0])
    log(
        "vae_whitened",
        psnr_before=before,
        psnr_after=after,
        spread=[round(s, 3) for s in spread.tolist()],
    )
    return vae


def silence(vae: Autoencoder, channels: Tensor) -> None:
    """Switch off the channels that the decoder learnt to ignore.

    Made as loud as the others, the denoiser would learn their noise; and their posterior is so
    wide that image-to-image, which samples it, would drown the picture.
    """
    entry = vae.quant_conv
    for half, bias in ((0, 0.0), (LATENT_CHANNELS, INITIAL_LOG_VARIANCE)):
        rows = half + channels.nonzero().flatten()
        entry.weight[rows] = 0.0
        entry.bias[rows] = bias
