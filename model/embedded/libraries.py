"""The classes of diffusers that we use.

diffusers carries no types that mypy --strict accepts, so its classes pass through here as Any,
once, under the names that say what they are to us.
"""

from typing import Any

import diffusers

Autoencoder = Any
Denoiser = Any
Scheduler = Any
Pipeline = Any

AutoencoderKL: Any = diffusers.AutoencoderKL
AutoPipelineForText2Image: Any = diffusers.AutoPipelineForText2Image
DDIMScheduler: Any = diffusers.DDIMScheduler
StableDiffusionPipeline: Any = diffusers.StableDiffusionPipeline
UNet2DConditionModel: Any = diffusers.UNet2DConditionModel
