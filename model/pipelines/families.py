"""What is known of each family of pipelines, as data. Imports no torch.

A family is found by the pipeline class in ``model_index.json``. Its defaults are those of the
examples in diffusers' documentation of the class, or of its call's signature where the example
names none; the model folder's own word goes before them (``defaults``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from ..contract.generation import GenerationRequest
from ..contract.sampling import Task
from ..errors import ModelNotLoadable

T2I, I2I, INPAINT = Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.INPAINTING
T2V, I2V = Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO
F2V, V2V = Task.FRAMES_TO_VIDEO, Task.VIDEO_TO_VIDEO


class Guidance(StrEnum):
    """Which parameter carries classifier-free guidance. ``embedded``: ``guidance_scale`` is an
    input of the denoiser, and a second pass needs ``true_cfg_scale`` and a negative prompt.
    """

    SCALE = "guidance_scale"
    TRUE_SCALE = "true_cfg_scale"
    EMBEDDED = "embedded"


class Branches(StrEnum):
    """How the two passes of classifier-free guidance reach the denoiser: ``together``, in one call
    on twice the batch; ``apart``, in two calls one after the other, the conditional one first.
    ``none``: there is one pass only.
    """

    TOGETHER = "together"
    APART = "apart"
    NONE = "none"


class Pictures(StrEnum):
    """How a call takes input pictures. ``each``: a list, one for each prompt. ``all``: a list that
    is seen as a whole by one prompt. ``one``: a single picture, for one prompt.
    """

    EACH = "each"
    ALL = "all"
    ONE = "one"


class Seam(StrEnum):
    """diffusers' own calls at which a pipeline can be cut: by ``.``, of which component. What they
    return is all that reaches the denoiser of a prompt or of a picture.
    """

    PROMPT = "encode_prompt"
    PICTURE = "encode_image"
    LATENTS = "vae.encode"


class Latents(StrEnum):
    """How the latents of pictures lie between two steps. ``cells``: as the VAE takes them, but for
    its scale and shift. ``packed``: squares of cells as tokens. ``patches``: the same of FLUX.2,
    normalised by its VAE's batch norm. ``frames``: packed, of a VAE for videos.
    """

    CELLS = "cells"
    PACKED = "packed"
    PATCHES = "patches"
    FRAMES = "frames"


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Weights that do not do all that their class does: where ``flag`` of ``component``'s
    configuration is set (of the pipeline's own, where that is empty), only ``tasks`` are left.
    """

    flag: str
    tasks: tuple[Task, ...]
    component: str = ""


@dataclass(frozen=True, slots=True)
class PipelineClass:
    """``tasks``: what the class does itself, its own default first; a class that takes an optional
    picture does two. ``narrowed``: what weights do of these; the first that holds counts.
    ``sibling``: the family's leading pipeline lends its components to this class, where they are
    all there. ``sibling_if``: a flag of that pipeline that must be set as well.
    ``hides``: parameters of the call that mean something else than requests mean by them.
    ``fixed``: further arguments of every call, from the request; None is left out.
    ``needs``: packages that it imports, of those that diffusers and transformers leave optional.
    """

    tasks: tuple[Task, ...]
    pictures: Pictures = Pictures.EACH
    narrowed: tuple[Narrowing, ...] = ()
    sibling: bool = False
    sibling_if: str = ""
    hides: frozenset[str] = frozenset()
    fixed: Mapping[str, Callable[[GenerationRequest], Any]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """``pipelines``: the diffusers classes that load it; the first one leads.

    ``variants``: defaults that hold where a flag of the pipeline is set, by flag.
    ``branches``: how its pipelines run the two passes, which ``--cfg-parallel`` divides.
    ``cfg_above``: the guidance from which on the second, unconditional pass runs, exclusive.
    ``alignment``: in pixels, where the general rule gives less than the family takes.
    ``frame_step``: of the frame contract, where the VAE does not say; None for pictures.
    ``latent_frames``: how many the VAE codes at once, after the first one.
    ``guidance_unless``: a flag of the pipeline that turns the second pass off.
    ``most_image_ratio``: of the longer to the shorter side of an input picture.
    ``latent_shift``: its calls compute with the VAE's ``shift_factor``, set or not (W51).
    ``vae_hook``: by name, in ``vae.HOOKS`` (W52).
    ``cut``: what an encoder of its own hands over; nothing where the pipelines cannot be cut.
    ``latents``: how to look at a picture before it is done; None where that is not known.
    """

    name: str
    pipelines: dict[str, PipelineClass]
    defaults: dict[str, Any] = field(default_factory=dict)
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    guidance: Guidance = Guidance.SCALE
    guidance_unless: str = ""
    branches: Branches = Branches.NONE
    cfg_above: float = 1.0
    alignment: int = 1
    frame_step: int | None = None
    latent_frames: int = 1
    least_image_side: int = 64
    most_image_ratio: float | None = None
    images_in: int = 1
    most_images_in: int = 1
    latent_shift: bool = False
    vae_hook: str = ""
    cut: tuple[Seam, ...] = ()
    latents: Latents | None = None


def _image_pipelines(prefix: str) -> dict[str, PipelineClass]:
    return {
        f"{prefix}Pipeline": PipelineClass((T2I,)),
        f"{prefix}Img2ImgPipeline": PipelineClass((I2I,), sibling=True),
        f"{prefix}InpaintPipeline": PipelineClass((INPAINT,), sibling=True),
    }


# Left alone, the call scales every size to one megapixel, and every input picture to the nearest of
# a list of sizes: the request's own size is what shall come out.
KONTEXT_SIZE: Final[dict[str, Callable[[GenerationRequest], Any]]] = {
    "max_area": lambda request: request.sampling.width * request.sampling.height,
    "_auto_resize": lambda request: False,
}
# Where two pictures stand in the video. As many videos are named, since their default, a list of
# one, would cut the list of pictures to one as well.
LTX_PLACES: Final[dict[str, Callable[[GenerationRequest], Any]]] = {
    "frame_index": lambda request: (
        [0, (request.sampling.num_frames or 1) - 1] if request.last_images else None
    ),
    "video": lambda request: [None, None] if request.last_images else None,
}
# How closely the first frame follows its condition, which is no ``strength`` as requests mean it.
CONDITION: Final = frozenset({"strength"})

# The prompt, and pictures as the VAE's latents. Wan 2.1 shows its pictures to CLIP as well.
CUT: Final = (Seam.PROMPT, Seam.LATENTS)
CUT_WITH_CLIP: Final = (Seam.PROMPT, Seam.PICTURE, Seam.LATENTS)

# transformers' processors of texts with pictures.
VISION: Final = ("torchvision",)

FAMILIES: Final = (
    Family(
        "stable-diffusion-1",
        _image_pipelines("StableDiffusion"),
        {"num_inference_steps": 50, "guidance_scale": 7.5},
        branches=Branches.TOGETHER,
        cut=CUT,
        latents=Latents.CELLS,
    ),
    Family(
        "stable-diffusion-xl",
        _image_pipelines("StableDiffusionXL"),
        {"num_inference_steps": 50, "guidance_scale": 5.0},
        branches=Branches.TOGETHER,
        cut=CUT,
        latents=Latents.CELLS,
    ),
    Family(
        "stable-diffusion-3",
        _image_pipelines("StableDiffusion3"),
        {"num_inference_steps": 28, "guidance_scale": 7.0, "max_sequence_length": 256},
        latent_shift=True,
        branches=Branches.TOGETHER,
        cut=CUT,
        latents=Latents.CELLS,
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
        guidance=Guidance.EMBEDDED,
        latent_shift=True,
        branches=Branches.APART,
        cut=CUT,
        latents=Latents.PACKED,
    ),
    Family(
        "flux-1-kontext",
        {"FluxKontextPipeline": PipelineClass((I2I, T2I), fixed=KONTEXT_SIZE)},
        {
            "num_inference_steps": 28,
            "guidance_scale": 2.5,
            "width": 1024,
            "height": 1024,
            "max_sequence_length": 512,
        },
        guidance=Guidance.EMBEDDED,
        latent_shift=True,
        branches=Branches.APART,
        cut=CUT,
        latents=Latents.PACKED,
    ),
    Family(
        "flux-2",
        {"Flux2Pipeline": PipelineClass((T2I, I2I), Pictures.ALL, needs=VISION)},
        {
            "num_inference_steps": 50,
            "guidance_scale": 4.0,
            "width": 1024,
            "height": 1024,
            "max_sequence_length": 512,
        },
        guidance=Guidance.EMBEDDED,
        most_image_ratio=8.0,
        most_images_in=10,
        vae_hook="flux-2",
        cut=CUT,
        latents=Latents.PATCHES,
    ),
    Family(
        "flux-2-klein",
        {"Flux2KleinPipeline": PipelineClass((T2I, I2I), Pictures.ALL)},
        {
            "num_inference_steps": 50,
            "guidance_scale": 4.0,
            "width": 1024,
            "height": 1024,
            "max_sequence_length": 512,
        },
        variants={"is_distilled": {"num_inference_steps": 4, "guidance_scale": 1.0}},
        guidance_unless="is_distilled",
        most_image_ratio=8.0,
        most_images_in=10,
        vae_hook="flux-2",
        branches=Branches.APART,
        cut=CUT,
        latents=Latents.PATCHES,
    ),
    Family(
        "z-image",
        _image_pipelines("ZImage"),
        {"num_inference_steps": 9, "guidance_scale": 0.0, "width": 1024, "height": 1024},
        cfg_above=0.0,
        latent_shift=True,
        branches=Branches.TOGETHER,
        cut=CUT,
        latents=Latents.CELLS,
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
        guidance=Guidance.TRUE_SCALE,
        branches=Branches.APART,
        cut=CUT,
        latents=Latents.FRAMES,
    ),
    Family(
        "qwen-image-edit",
        {"QwenImageEditPipeline": PipelineClass((I2I,), needs=VISION)},
        {
            "num_inference_steps": 50,
            "true_cfg_scale": 4.0,
            "negative_prompt": " ",
            "width": 1024,
            "height": 1024,
        },
        guidance=Guidance.TRUE_SCALE,
        branches=Branches.APART,
        cut=CUT,
        latents=Latents.FRAMES,
    ),
    Family(
        "qwen-image-edit-plus",
        {"QwenImageEditPlusPipeline": PipelineClass((I2I,), Pictures.ALL, needs=VISION)},
        {
            "num_inference_steps": 40,
            "true_cfg_scale": 4.0,
            "negative_prompt": " ",
            "width": 1024,
            "height": 1024,
        },
        guidance=Guidance.TRUE_SCALE,
        most_images_in=3,
        branches=Branches.APART,
        cut=CUT,
        latents=Latents.FRAMES,
    ),
    Family(
        "wan",
        {
            "WanPipeline": PipelineClass((T2V,)),
            # Only a denoiser that takes a time for each frame does both tasks (Wan 2.2, 5B), and it
            # would not see the last frame. Of those that CLIP shows a picture (Wan 2.1), some
            # always see two, and the others one.
            "WanImageToVideoPipeline": PipelineClass(
                (I2V, F2V),
                Pictures.ONE,
                narrowed=(
                    Narrowing("expand_timesteps", (I2V,)),
                    Narrowing("pos_embed_seq_len", (F2V,), "transformer"),
                    Narrowing("image_dim", (I2V,), "transformer"),
                ),
                sibling=True,
                sibling_if="expand_timesteps",
                needs=("ftfy",),
            ),
            # It knows one denoiser, and one time for all frames (Wan 2.1).
            "WanVideoToVideoPipeline": PipelineClass(
                (V2V,),
                narrowed=(Narrowing("expand_timesteps", ()), Narrowing("boundary_ratio", ())),
                sibling=True,
                needs=("ftfy",),
            ),
        },
        {
            "num_inference_steps": 50,
            "guidance_scale": 5.0,
            "width": 832,
            "height": 480,
            "num_frames": 81,
            "fps": 16.0,
            "max_sequence_length": 512,
        },
        variants={
            "expand_timesteps": {"width": 1280, "height": 704, "num_frames": 121, "fps": 24.0}
        },
        alignment=16,
        frame_step=4,
        branches=Branches.APART,
        cut=CUT_WITH_CLIP,
    ),
    Family(
        "ltx-video",
        {
            "LTXPipeline": PipelineClass((T2V,)),
            "LTXImageToVideoPipeline": PipelineClass((I2V,), sibling=True),
            "LTXConditionPipeline": PipelineClass(
                (T2V, I2V, F2V), Pictures.ONE, hides=CONDITION, fixed=LTX_PLACES
            ),
        },
        {
            "num_inference_steps": 50,
            "guidance_scale": 3.0,
            "width": 704,
            "height": 512,
            "num_frames": 161,
            "fps": 25.0,
        },
        alignment=32,
        frame_step=8,
        branches=Branches.TOGETHER,
        cut=CUT,
    ),
    Family(
        "cogvideox",
        {
            "CogVideoXPipeline": PipelineClass((T2V,)),
            "CogVideoXImageToVideoPipeline": PipelineClass((I2V,), Pictures.ONE),
            # A denoiser that takes pairs of frames (CogVideoX 1.5) would need an even number of
            # latent ones, and the VAE an odd one.
            "CogVideoXVideoToVideoPipeline": PipelineClass(
                (V2V,), narrowed=(Narrowing("patch_size_t", (), "transformer"),), sibling=True
            ),
        },
        {
            "num_inference_steps": 50,
            "guidance_scale": 6.0,
            "width": 720,
            "height": 480,
            "num_frames": 49,
            "fps": 8.0,
            "max_sequence_length": 226,
        },
        branches=Branches.TOGETHER,
        alignment=16,
        frame_step=4,
        latent_frames=2,
        cut=CUT,
    ),
)

# A pipeline of no known family is served by its call's signature, with the base defaults.
UNKNOWN: Final = Family("unknown", {})


def family_of(pipeline_class: str) -> Family:
    """The family that loads ``pipeline_class``, or ``UNKNOWN``."""
    return next((each for each in FAMILIES if pipeline_class in each.pipelines), UNKNOWN)


def class_of(name: str) -> PipelineClass | None:
    """What the table says of one diffusers class; None where it says nothing."""
    return family_of(name).pipelines.get(name)


def tasks_of(known: PipelineClass, flag: Callable[[str, str], Any]) -> tuple[Task, ...]:
    """What a class does with these weights. ``flag(component, name)``: what the configuration of a
    component says, or the pipeline's own, where ``component`` is empty."""
    left = (each.tasks for each in known.narrowed if flag(each.component, each.flag))
    return next(left, known.tasks)


def own_tasks_of(
    name: str, known: PipelineClass, flag: Callable[[str, str], Any]
) -> tuple[Task, ...]:
    """As ``tasks_of``, of the class that the model folder names.

    Raises:
        ModelNotLoadable: none of its tasks is left.
    """
    tasks = tasks_of(known, flag)
    if not tasks:
        flags = ", ".join(each.flag for each in known.narrowed if flag(each.component, each.flag))
        raise ModelNotLoadable(
            f"{name} does not run weights whose configuration sets {flags}; name the class that "
            "they were trained for in model_index.json"
        )
    return tasks


def siblings_of(pipeline_class: str) -> dict[str, PipelineClass]:
    """The classes that take the components of ``pipeline_class`` for other tasks. Only the leading
    class of a family lends them: its components serve all tasks, those of the others may not.
    """
    found = family_of(pipeline_class).pipelines
    if next(iter(found), "") != pipeline_class:
        return {}
    return {name: each for name, each in found.items() if each.sibling}
