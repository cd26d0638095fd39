"""The page of families, from the table that the server itself reads."""

from model.contract.roles import Role
from model.contract.sampling import FrameContract
from model.pipelines.cuts import PARTS, SCHEDULER
from model.pipelines.families import FAMILIES, Family, Guidance, Pictures, PipelineClass

from .tables import table

CLASSES = ("family", "diffusers class", "tasks", "input pictures or video", "needs")
CUTS = ("family", "the encoder hands over what these return")
DEFAULTS = ("family", "size", "frames", "steps", "guidance", "passes", "negative prompt")
INTRODUCTION = """# Families of models

<!-- Generated from model/pipelines/families.py by `make generate`. -->

A model is a diffusers folder. Its family is found by the pipeline class that `model_index.json`
names. Any other class of diffusers works as well: its task and its parameters are read from the
signature of its call, the metadata says `"registered": false`, and the log has a warning. Classes
that need an input that requests do not have are refused at the start.

## Classes

A class that takes a picture or does without has two tasks, and both are warmed up. What weights
cannot do of their class' tasks is left out: *only ... with* names the flags of their configuration
that say so.

Classes in italics borrow the components of the family's first class, where these are all there: one
server does all of their tasks. Those are not warmed up unless `--warmup-tasks` names them. *Needs*
are packages that diffusers leaves optional, and without which the class does not load.

"""
DEFAULTS_TITLE = """
## Defaults

What a request that names none gets. The model folder's own word goes first
(`generation_config.json`, then extra keys of `model_index.json`), then the size that the denoiser
was trained at, then this table. `guidance_scale` runs a second pass through the denoiser above the
number that is given, unless it is an input of the denoiser; `true_cfg_scale` does above 1, and
needs a negative prompt. *Passes*: the two are one call of the denoiser on twice the batch
(together), or two calls one after the other (apart); `--cfg-parallel` divides either between two
devices.

"""
RULES = """
## Sizes, frames and pictures

- `width` and `height` are multiples of 16, or of the VAE's factor times the denoiser's patch where
  that is more (32 for LTX-Video and for Wan 2.2 5B): `pipeline.alignment` in the metadata.
- `num_frames` is a multiple of the VAE's factor in time, plus 1: `pipeline.frame_step`. It is twice
  the factor for CogVideoX, whose VAE codes two latent frames at once. The server names the two
  nearest numbers to one that does not fit.
- An input picture or video has at least 64 pixels along each side.
- Pictures *for each prompt* are one for all prompts, or one each; *one* and *up to n* are for one
  prompt a request. What comes out has the size that the request names, or the first picture's.
- A task from frames takes two pictures of one size: `image` is the first frame, `last_image` the
  last.
- A task from a video takes one `video` for one prompt, and draws it anew as far as `strength` says.
  What comes out has its size, its frames and its rate, unless the request names others; of a longer
  video the first `num_frames` are taken.
- A VAE may return its latents in any of the forms that diffusers knows (`latent_dist`, `latent`,
  `latents`, or the distribution itself), and have no shift. FLUX.2 also takes VAEs without a batch
  norm, of plain or of patchified latents.
- Every request gets a scheduler as it was loaded, and a generator for each picture: a seed draws
  the same after any other request, and after one that was cancelled.
"""
ROLES = """
## Roles

`--role encoder`, `denoiser` and `decoder` load a part of the pipeline each, and a router leads
requests through them. A role's scheduler and configurations cost nothing; the weights are these, of
those that the pipeline has:

"""
CUTS_TITLE = """
Where a task takes a picture or a video, the encoder has the VAE's `encoder`, the decoder the rest.
These families can be cut; with any other pipeline a role refuses to start. [Where a pipeline is
cut](design/roles.md) says why.

"""


def render() -> str:
    """The whole page."""
    classes = [
        _class_row(family, name, known)
        for family in FAMILIES
        for name, known in family.pipelines.items()
    ]
    defaults = [row for family in FAMILIES for row in _default_rows(family)]
    holdings = [_holding(role, parts - {SCHEDULER}) for role, parts in PARTS.items()]
    return "".join(
        (
            INTRODUCTION,
            table(CLASSES, classes),
            DEFAULTS_TITLE,
            table(DEFAULTS, defaults),
            RULES,
            ROLES,
            table(("role", "components"), holdings),
            CUTS_TITLE,
            table(CUTS, [_cut_row(family) for family in FAMILIES if family.cut]),
        )
    )


def _holding(role: Role, parts: frozenset[str]) -> tuple[str, ...]:
    return role, ", ".join(f"`{each}`" for each in sorted(parts))


def _cut_row(family: Family) -> tuple[str, ...]:
    shown = ", ".join(f"`{each}`" for each in family.cut)
    return family.name, shown


def _class_row(family: Family, name: str, known: PipelineClass) -> tuple[str, ...]:
    shown = f"*`{name}`*" if known.sibling else f"`{name}`"
    if known.sibling_if:
        shown += f" (if `{known.sibling_if}`)"
    packages = ", ".join(f"`{each}`" for each in known.needs)
    return family.name, shown, _tasks(known), _pictures(family, known), packages


def _tasks(known: PipelineClass) -> str:
    rules = [
        f"{'only ' + ', '.join(each.tasks) if each.tasks else 'none'} with `{each.flag}`"
        for each in known.narrowed
    ]
    return "; ".join([", ".join(known.tasks), *rules])


def _pictures(family: Family, known: PipelineClass) -> str:
    if any(task.takes_video for task in known.tasks):
        return "one video"
    if not any(task.takes_image for task in known.tasks):
        return ""
    if known.pictures is Pictures.ALL:
        return f"up to {family.most_images_in}"
    return "one" if known.pictures is Pictures.ONE else "for each prompt"


def _default_rows(family: Family) -> list[tuple[str, ...]]:
    """The family's own, and what hangs on a flag of the pipeline."""
    rows = [_default_row(family.name, family, {})]
    return rows + [
        _default_row(f"{family.name}, `{flag}`", family, values)
        for flag, values in family.variants.items()
    ]


def _default_row(name: str, family: Family, variant: dict[str, object]) -> tuple[str, ...]:
    values = {**family.defaults, **variant}
    size = f"{values['width']}x{values['height']}" if "width" in values else "the denoiser's"
    negative = f'`"{values["negative_prompt"]}"`' if "negative_prompt" in values else ""
    steps = str(values["num_inference_steps"])
    guidance, passes = _guidance(family, values), str(family.branches)
    return name, size, _frames(family, values), steps, guidance, passes, negative


def _frames(family: Family, values: dict[str, object]) -> str:
    if family.frame_step is None:
        return ""
    contract = FrameContract(family.frame_step * family.latent_frames)
    return f"{values['num_frames']} ({contract.step}k + 1) at {values['fps']:g} fps"


def _guidance(family: Family, values: dict[str, object]) -> str:
    if family.guidance is Guidance.TRUE_SCALE:
        return f"`true_cfg_scale` {values['true_cfg_scale']:g}"
    scale = f"`guidance_scale` {values['guidance_scale']:g}"
    if family.guidance is Guidance.EMBEDDED:
        return f"{scale}, an input of the denoiser"
    return f"{scale}, second pass above {family.cfg_above:g}"
