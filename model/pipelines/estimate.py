"""What a denoiser expects the finished latents to be, from one of its steps. Imports torch: engine
process only.

What lies between two steps is still mixed with noise. How much of it there is, the scheduler knows,
and what the denoiser said of it is the first argument of the scheduler's own ``step``.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch

# Of a scheduler whose configuration says nothing: those of flow matching know one kind only.
FLOW: Final = "flow_prediction"
# Where a noisier latent has a larger variance, it begins far above this; elsewhere it begins at 1.
USUAL_VARIANCE: Final = 1.5
LEAST_SIGNAL: Final = 1e-3


@dataclass(slots=True)
class Tap:
    """Keeps what the last ``step`` of a scheduler was given. ``listen`` once, to a copy of it."""

    scheduler: Any
    given: tuple[Any, Any, Any] | None = None

    def listen(self) -> None:
        step = self.scheduler.step

        def heard(output: Any, time: Any, sample: Any, *further: Any, **named: Any) -> Any:
            self.given = (output, time, sample)
            return step(output, time, sample, *further, **named)

        self.scheduler.step = heard

    def estimate(self, latents: Any) -> Any:
        """The finished latents. ``latents``: those after the step, which are the answer where the
        scheduler tells nothing of its noise."""
        if self.given is None:
            return latents
        output, time, sample = self.given
        sigma = _sigma(self.scheduler)
        output, sample = output.float(), sample.float()
        if _kind(self.scheduler) == FLOW:
            return latents if sigma is None else (sample - sigma * output).to(latents.dtype)
        mixed = _mixed(self.scheduler, time, sigma, sample)
        if mixed is None:
            return latents
        return _unmixed(_kind(self.scheduler), output, *mixed).to(latents.dtype)


def _kind(scheduler: Any) -> str:
    return str(scheduler.config.get("prediction_type", FLOW))


def _sigma(scheduler: Any) -> Any:
    """Of the step that was just done; None where the scheduler counts no sigmas."""
    sigmas, after = getattr(scheduler, "sigmas", None), getattr(scheduler, "step_index", None)
    return sigmas[after - 1].float() if sigmas is not None and after else None


def _mixed(scheduler: Any, time: Any, sigma: Any, sample: Any) -> tuple[Any, Any, Any] | None:
    """A sample of variance 1, and its shares of picture and of noise, whose squares add up to 1."""
    if sigma is not None:
        signal = 1 / (1 + sigma**2).sqrt()
        grows = float(scheduler.init_noise_sigma) > USUAL_VARIANCE
        return sample * signal if grows else sample, signal, sigma * signal
    shares = getattr(scheduler, "alphas_cumprod", None)
    if shares is None:
        return None
    share = shares[int(time)].float().to(sample.device)
    return sample, share.sqrt(), (1 - share).sqrt()


def _unmixed(kind: str, output: Any, sample: Any, signal: Any, noise: Any) -> torch.Tensor:
    if kind == "v_prediction":
        found = signal * sample - noise * output
    elif kind == "sample":
        found = output
    else:  # epsilon
        found = (sample - noise * output) / signal.clamp(min=LEAST_SIGNAL)
    return torch.as_tensor(found)
