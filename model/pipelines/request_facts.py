"""A request as facts that JSON can hold, and pictures by name. Imports no torch.

The first stage gets all of it. Later ones get it without the texts and the pictures: blank ones
take their places, since what a prompt and a picture mean to them is in the tensors that come along.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any, Final

import numpy as np

from ..contract.generation import GenerationRequest, Sampling
from ..contract.sampling import Task
from ..errors import InvalidRequest
from .guidance import EMPTY

PICTURES: Final = ("images", "masks", "last_images", "videos")
# The denoiser itself paints by it.
READ_LATER: Final = ("masks",)
# Of a fact; no model takes as much, and blank pictures of it would fill the memory.
MOST_ELEMENTS: Final = 2**31


def facts_of(request: GenerationRequest) -> dict[str, Any]:
    """All but the pictures' content, the deadline, the priority, and whether it is a warmup."""
    sampling = {name: each for name, each in asdict(request.sampling).items() if each is not None}
    return {
        "task": str(request.task),
        "prompts": list(request.prompts),
        "negative_prompts": _listed(request.negative_prompts),
        "num_images_per_prompt": request.num_images_per_prompt,
        "seeds": list(request.seeds),
        "sampling": sampling,
        "cfg": request.cfg,
        "pictures": {
            kind: [list(each.shape) for each in getattr(request, kind)] for kind in PICTURES
        },
    }


def pictures_of(request: GenerationRequest) -> dict[str, Any]:
    """uint8 arrays, by the name under which they travel."""
    return {
        f"{kind}.{number}": each
        for kind in PICTURES
        for number, each in enumerate(getattr(request, kind))
    }


def without_content(request: GenerationRequest) -> GenerationRequest:
    """For the stages after the first: as many prompts, and pictures as large."""
    negatives = request.negative_prompts
    blank: dict[str, Any] = {
        kind: tuple(np.zeros_like(each) for each in getattr(request, kind))
        for kind in PICTURES
        if kind not in READ_LATER
    }
    return replace(
        request,
        prompts=(EMPTY,) * len(request.prompts),
        negative_prompts=None if negatives is None else (EMPTY,) * len(negatives),
        **blank,
    )


def request_of(
    id: str,  # noqa: A002 (the name that requests have for it)
    facts: Mapping[str, Any],
    pictures: Mapping[str, Any],
    *,
    deadline: float | None = None,
    warmup: bool = False,
) -> GenerationRequest:
    """The request again. What ``pictures`` does not have is blank.

    Raises:
        InvalidRequest: the facts are not those of a request.
    """
    try:
        shown: dict[str, Any] = {
            kind: _pictures(kind, facts["pictures"][kind], pictures) for kind in PICTURES
        }
        return GenerationRequest(
            id=id,
            task=Task(facts["task"]),
            prompts=tuple(map(_text, facts["prompts"])),
            sampling=_sampling(facts["sampling"]),
            seeds=tuple(map(int, facts["seeds"])),
            negative_prompts=_tupled(facts["negative_prompts"], _text),
            num_images_per_prompt=int(facts["num_images_per_prompt"]),
            cfg=bool(facts["cfg"]),
            deadline=deadline,
            warmup=warmup,
            **shown,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidRequest(
            "facts", f"are not those of a request: {type(error).__name__}: {str(error)[:200]}"
        ) from error


def _sampling(found: Mapping[str, Any]) -> Sampling:
    # A router of the next release may know more, and sends it only where it was asked for.
    unknown = found.keys() - {each.name for each in fields(Sampling)}
    if unknown:
        raise ValueError(f"unknown sampling parameters {', '.join(sorted(unknown))}")
    return Sampling(**found)


def _pictures(kind: str, shapes: Any, found: Mapping[str, Any]) -> tuple[Any, ...]:
    made = []
    for number, shape in enumerate(shapes):
        picture = found.get(f"{kind}.{number}")
        if picture is None:
            if int(np.prod(shape, dtype=np.int64)) > MOST_ELEMENTS:
                raise ValueError(f"{kind}.{number} is said to be of {shape}")
            picture = np.zeros(shape, np.uint8)
        if list(picture.shape) != list(shape) or picture.dtype != np.uint8:
            raise ValueError(
                f"{kind}.{number} is {picture.dtype} of {list(picture.shape)}, announced as "
                f"uint8 of {list(shape)}"
            )
        made.append(picture)
    return tuple(made)


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError(f"a prompt is {type(found).__name__}, not text")
    return found


def _listed(found: tuple[str, ...] | None) -> list[str] | None:
    return None if found is None else list(found)


def _tupled(found: Any, convert: Callable[[Any], str]) -> tuple[str, ...] | None:
    return None if found is None else tuple(map(convert, found))
