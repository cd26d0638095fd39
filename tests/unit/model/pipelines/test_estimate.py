"""What is expected at the end, by schedulers of every kind: with a denoiser that knows the noise,
it is the very picture that the noise was added to.
"""

import itertools
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

from model.pipelines.estimate import Tap

PICTURE = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
NOISE = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
STEPS = 6
KINDS = ("epsilon", "v_prediction", "sample")
DIFFUSION = (
    DDIMScheduler,
    PNDMScheduler,
    LCMScheduler,
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    DPMSolverMultistepScheduler,
    UniPCMultistepScheduler,
)
UNKNOWN_THERE = ((PNDMScheduler, "sample"), (EulerAncestralDiscreteScheduler, "sample"))


def told(kind: str, signal: Any, noise: Any) -> torch.Tensor:
    """What a denoiser says that knows it all."""
    outputs = {
        "epsilon": NOISE,
        "v_prediction": signal * NOISE - noise * PICTURE,
        "sample": PICTURE,
    }
    return outputs[kind]


def expected_after_a_step(scheduler: Any, output: Any, time: Any, sample: Any) -> Any:
    tap = Tap(scheduler)
    tap.listen()
    after = scheduler.step(output, time, sample, return_dict=False)[0]
    found = tap.estimate(after.to(torch.float64))
    assert found.dtype == torch.float64, "as the latents"
    return found.float()


@pytest.mark.parametrize(
    ("scheduler", "kind"),
    [each for each in itertools.product(DIFFUSION, KINDS) if each not in UNKNOWN_THERE],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_the_picture_in_the_noise_is_found(scheduler: Any, kind: str) -> None:
    made = scheduler(prediction_type=kind)
    made.set_timesteps(STEPS)
    for time in made.timesteps[[0, 2]]:
        again = scheduler(prediction_type=kind)
        again.set_timesteps(STEPS)
        share = again.alphas_cumprod[int(time)]
        sample = again.add_noise(PICTURE, NOISE, time[None])
        again.scale_model_input(sample, time)
        output = told(kind, share.sqrt(), (1 - share).sqrt())
        found = expected_after_a_step(again, output, time, sample)
        assert torch.allclose(found, PICTURE, atol=2e-2), (found - PICTURE).abs().max()


def test_a_flow_leads_to_the_picture() -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(STEPS)
    time = scheduler.timesteps[2]
    sample = scheduler.scale_noise(PICTURE, time[None], NOISE)
    found = expected_after_a_step(scheduler, NOISE - PICTURE, time, sample)
    assert torch.allclose(found, PICTURE, atol=1e-4)


def test_where_all_is_noise_nothing_is_divided_by_nothing() -> None:
    scheduler = DDIMScheduler(rescale_betas_zero_snr=True, timestep_spacing="trailing")
    scheduler.set_timesteps(STEPS)
    found = expected_after_a_step(scheduler, NOISE, scheduler.timesteps[0], NOISE)
    assert torch.isfinite(found).all()


def test_a_scheduler_that_tells_nothing_leaves_the_latents_as_they_are() -> None:
    class Silent:
        def __init__(self) -> None:
            self.config = {"prediction_type": "epsilon"}

        def step(self, output: Any, time: Any, sample: Any) -> Any:
            return sample

    tap = Tap(Silent())
    assert tap.estimate(PICTURE) is PICTURE, "before the first step"
    tap.listen()
    tap.scheduler.step(NOISE, 1, PICTURE)
    assert tap.estimate(PICTURE) is PICTURE
