"""What is known of each family of pipelines, as data. Imports no torch.

A family is found by the pipeline class in ``model_index.json``. Its defaults are those of the
diffusers documentation of the family; the model folder's own word goes before them (``defaults``).
"""

from dataclasses import dataclass, field
from typing import Any, Final

from ..contract.sampling import Task


@dataclass(frozen=True, slots=True)
class Family:
    """``pipelines``: the diffusers classes that load it, with the task of each.
    ``guidance_embedded``: guidance is an input of the denoiser, not a second pass.
    """

    name: str
    pipelines: dict[str, Task]
    defaults: dict[str, Any] = field(default_factory=dict)
    guidance_embedded: bool = False


def _image_pipelines(prefix: str) -> dict[str, Task]:
    return {
        f"{prefix}Pipeline": Task.TEXT_TO_IMAGE,
        f"{prefix}Img2ImgPipeline": Task.IMAGE_TO_IMAGE,
        f"{prefix}InpaintPipeline": Task.INPAINTING,
    }


FAMILIES: Final = (
    Family(
        "stable-diffusion-1",
        _image_pipelines("StableDiffusion"),
        {"num_inference_steps": 50, "guidance_scale": 7.5},
    ),
    Family(
        "stable-diffusion-xl",
        _image_pipelines("StableDiffusionXL"),
        {"num_inference_steps": 50, "guidance_scale": 5.0},
    ),
    Family(
        "stable-diffusion-3",
        _image_pipelines("StableDiffusion3"),
        {"num_inference_steps": 28, "guidance_scale": 7.0, "max_sequence_length": 256},
    ),
    Family(
        "flux-1",
        _image_pipelines("Flux"),
        {
            "num_inference_steps": 28,
            "guidance_scale": 3.5,
            "width": 1024,
            "height": 1024,
            "max_sequence_length": 512,
        },
        guidance_embedded=True,
    ),
    Family(
        "z-image",
        {"ZImagePipeline": Task.TEXT_TO_IMAGE, "ZImageImg2ImgPipeline": Task.IMAGE_TO_IMAGE},
        {"num_inference_steps": 9, "guidance_scale": 0.0, "width": 1024, "height": 1024},
    ),
    Family(
        "qwen-image",
        _image_pipelines("QwenImage"),
        {
            "num_inference_steps": 50,
            "true_cfg_scale": 4.0,
            "negative_prompt": " ",
            "width": 1328,
            "height": 1328,
        },
    ),
)

# A pipeline of no known family is served by its call's signature, with the base defaults.
UNKNOWN: Final = Family("unknown", {})


def siblings_of(pipeline_class: str) -> dict[str, Task]:
    """The other classes of the family, which take the same components for other tasks."""
    found = family_of(pipeline_class).pipelines
    return {name: task for name, task in found.items() if name != pipeline_class}


def family_of(pipeline_class: str) -> Family:
    """The family that loads ``pipeline_class``, or ``UNKNOWN``."""
    return next((each for each in FAMILIES if pipeline_class in each.pipelines), UNKNOWN)
