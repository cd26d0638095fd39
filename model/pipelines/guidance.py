"""Which requests run the denoiser's second, unconditional pass, and what ``--cfg-parallel`` asks of
them and of the model: without that pass a second device would idle. Imports no torch.
"""

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from ..contract.generation import Sampling
from ..contract.sampling import ModelDescription, Task
from ..errors import InvalidRequest, InvalidSettings, ModelNotLoadable
from .families import FAMILIES, Branches, class_of, family_of

# W14: of a request without one. Not of no character at all, which Qwen-Image-Edit cannot take.
EMPTY: Final = " "
TRUE_SCALE: Final = "true_cfg_scale"


def guided(sampling: Sampling, negatives: tuple[str, ...] | None, model: ModelDescription) -> bool:
    """Whether diffusers runs the second pass: a true scale needs a negative prompt; a plain one
    does it alone above the family's bound, unless guidance is an input of the denoiser."""
    if sampling.true_cfg_scale is not None:
        return sampling.true_cfg_scale > 1 and negatives is not None
    return not model.guidance_embedded and (sampling.guidance_scale or 0.0) > model.cfg_above


def filled(
    negatives: tuple[str, ...] | None, sampling: Sampling, prompts: int
) -> tuple[str, ...] | None:
    """W14: an empty negative prompt, where the second pass needs one. A plain scale needs none, and
    would draw another picture by it."""
    if negatives is None and sampling.true_cfg_scale is not None:
        return (EMPTY,) * prompts
    return negatives


def refuse_unguided(model: ModelDescription, task: Task) -> NoReturn:
    """W14: a request without the second pass.

    Raises:
        InvalidRequest: naming the parameter that turns it on.
    """
    name, bound = _knob(model, task)
    raise InvalidRequest(
        name,
        f"must be above {bound:g}: this server draws guided pictures only, by two devices at once "
        "(--cfg-parallel)",
    )


def check_divisible(pipeline_class: str) -> None:
    """Return when the two passes of the class can be told apart.

    Raises:
        ModelNotLoadable: they cannot, with the list of what can.
    """
    family = family_of(pipeline_class)
    if family.branches is not Branches.NONE:
        return
    able = ", ".join(each.name for each in FAMILIES if each.branches is not Branches.NONE)
    why = "its guidance is an input of the denoiser, which runs once a step"
    if class_of(pipeline_class) is None:
        why = "the class is in no table of Kiln's, which would know how it runs its two passes"
    raise ModelNotLoadable(
        f"--cfg-parallel: {pipeline_class}: {why}; leave the setting out. It is for {able}"
    )


def check_guided(model: ModelDescription, overrides: Mapping[str, Any]) -> None:
    """Return when requests are guided that name nothing but a prompt, or what ``overrides`` (of the
    settings) names.

    Raises:
        ModelNotLoadable: as ``check_divisible``.
        InvalidSettings: they are not, with the reason.
    """
    check_divisible(model.pipeline)
    task = model.tasks[0]
    values = {**model.defaults.values(), **overrides}
    sampling = Sampling(**{name: values.get(name) for name in Sampling.__dataclass_fields__})  # type: ignore[arg-type]
    if guided(sampling, filled((), sampling, 1), model):
        return
    name, bound = _knob(model, task)
    if name not in model.accepted[task] or (model.guidance_embedded and name != TRUE_SCALE):
        raise InvalidSettings(
            f"cfg_parallel: {model.pipeline} is distilled: its guidance runs no second pass, and "
            "a second device would idle; leave the setting out"
        )
    raise InvalidSettings(
        f"cfg_parallel: {model.pipeline} draws in one pass unless {name} is above {bound:g}, and "
        f"this model's own is {values.get(name, 'not set')}: leave the setting out, or name one "
        f"in the model's generation_config.json, or in --warmup-sampling-params"
    )


def _knob(model: ModelDescription, task: Task) -> tuple[str, float]:
    """The parameter that turns the second pass on, and above which value."""
    if TRUE_SCALE in model.accepted[task]:
        return TRUE_SCALE, 1.0
    return "guidance_scale", model.cfg_above
