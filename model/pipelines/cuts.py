"""Which role holds which parts of a pipeline, and which pipelines can be cut at all. No torch.

A cut pipeline is the same pipeline in every role. Each role holds the weights of its own
components; of the others there is a skeleton, where the pipeline reads their configuration, or
nothing. Why the cuts are where they are: docs/design/roles.md.
"""

from pathlib import Path
from typing import Any, Final

from ..contract.roles import WORKERS, Role
from ..contract.sampling import ModelDescription
from ..errors import ModelNotLoadable
from .defaults import read_json
from .families import FAMILIES, Seam, class_of, family_of

DENOISERS: Final = ("unet", "transformer", "transformer_2")
VAE: Final = "vae"
TEXTS: Final = tuple(
    f"{kind}{number}" for kind in ("tokenizer", "text_encoder") for number in ("", "_2", "_3", "_4")
)
# Of all that a pipeline may have. A scheduler is a table of numbers, and every call sets one up.
SCHEDULER: Final = "scheduler"
PARTS: Final[dict[Role, frozenset[str]]] = {
    Role.ENCODER: frozenset({*TEXTS, "processor", "image_encoder", "image_processor", SCHEDULER}),
    Role.DENOISER: frozenset({*DENOISERS, SCHEDULER}),
    Role.DECODER: frozenset({VAE, "safety_checker", "feature_extractor", SCHEDULER}),
}
# Pipelines compute sizes from these components' configurations.
SKELETONS: Final = frozenset({*DENOISERS, VAE})
# The half of a VAE that a role does without. Either half knows the configuration of both.
OTHER_HALF: Final[dict[Role, tuple[str, ...]]] = {
    Role.ENCODER: ("decoder", "post_quant_conv"),
    Role.DECODER: ("encoder", "quant_conv"),
}
# They read more than latents when they decode: the input picture, or noise.
UNCUT_VAES: Final = ("AsymmetricAutoencoderKL", "ConsistencyDecoderVAE")


def parts_of(role: Role, model: ModelDescription) -> frozenset[str]:
    """The components whose weights ``role`` holds. An encoder of pictures has the VAE, too."""
    pictures = any(task.takes_image or task.takes_video for task in model.tasks)
    encodes = role is Role.ENCODER and pictures
    return PARTS[role] | ({VAE} if encodes else frozenset())


def seams_of(pipeline_class: str) -> tuple[Seam, ...]:
    """What an encoder of this class hands over."""
    return family_of(pipeline_class).cut


def check_cut(role: Role, pipeline_class: str, folder: Path) -> None:
    """Return when ``role`` can be played with this pipeline.

    Raises:
        ModelNotLoadable: it cannot, with the list of what can.
    """
    if role not in WORKERS:
        return
    index = read_json(folder / "model_index.json")
    if not seams_of(pipeline_class):
        able = ", ".join(each.name for each in FAMILIES if each.cut)
        why = "its calls have no place for a cut"
        if class_of(pipeline_class) is None:
            why = "the class is in no table of Kiln's, which would know where to cut it"
        raise ModelNotLoadable(
            f"--role {role}: {pipeline_class}: {why}; serve it with --role monolithic. Roles "
            f"are for {able}"
        )
    parts = {name: each[1] for name, each in index.items() if _is_component(each)}
    homeless = sorted(parts.keys() - frozenset.union(*PARTS.values()))
    if homeless:
        raise ModelNotLoadable(
            f"--role {role}: {pipeline_class}: its component {', '.join(homeless)} belongs to no "
            "role; serve it with --role monolithic"
        )
    if parts.get(VAE) in UNCUT_VAES:
        raise ModelNotLoadable(
            f"--role {role}: {pipeline_class}: its VAE, {parts[VAE]}, decodes by more than "
            "latents; serve it with --role monolithic"
        )


def _is_component(found: Any) -> bool:
    return isinstance(found, list) and len(found) == 2 and all(found)
