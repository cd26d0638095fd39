"""``stream``: pictures as they come, in the events that OpenAI's clients read.

What is shown on the way is drawn by the engine; here it is asked for, encoded and sent. The answer
begins with its first event: what goes wrong before that has its status, as without ``stream``.
"""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any, Final

import orjson

from ...contract.generation import GenerationRequest
from ...contract.roles import Role
from ...contract.watching import Preview, Watch
from ...errors import InvalidRequest
from ...pipelines.families import family_of
from ..context import Serving
from ..drawing import Drawn, draw, revision
from .fields import Route
from .reading import Wish

NAMES: Final = {Route.GENERATIONS: "image_generation", Route.EDITS: "image_edit"}
# Diffusion models have no tokens, and OpenAI's clients want numbers.
USAGE: Final = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


def with_previews(serving: Serving, wanted: GenerationRequest, wish: Wish) -> GenerationRequest:
    """The request, with what shall be shown on the way.

    Raises:
        InvalidRequest: it cannot be streamed, or not with so many partial images.
    """
    if wanted.pictures > 1:
        raise InvalidRequest("n", "must be 1 where stream is true: no event says whose it is")
    if wish.partial_images:
        _check(serving, wanted, wish.partial_images)
    return replace(wanted, previews=wish.partial_images)


def _check(serving: Serving, wanted: GenerationRequest, asked: int) -> None:
    settings, model = serving.settings, serving.role.description
    assert model is not None
    steps = _steps(wanted)
    problem = ""
    if asked > settings.max_partial_images:
        problem = f"must be at most {settings.max_partial_images} on this server"
    elif settings.role is not Role.MONOLITHIC:
        problem = "must be 0 here: whoever draws has not the VAE that would show it"
    elif family_of(model.pipeline).latents is None or not model.cancellable:
        problem = f"must be 0 for this model: {model.pipeline} shows nothing until it is done"
    elif asked >= steps:
        problem = f"must be below the number of steps, and this picture has {steps}"
    if problem:
        raise InvalidRequest("partial_images", problem)


def _steps(wanted: GenerationRequest) -> int:
    """That are run: ``strength`` takes some away."""
    steps, strength = wanted.sampling.num_inference_steps, wanted.sampling.strength
    drawn_anew = strength is not None and bool(wanted.images)
    return min(int(steps * strength), steps) if drawn_anew and strength is not None else steps


async def events(
    serving: Serving,
    wanted: GenerationRequest,
    wish: Wish,
    route: Route,
    written: Callable[[Drawn], dict[str, Any]],
) -> AsyncGenerator[bytes, None]:
    """Partial images, and the whole answer. Who stops to listen stops the engine at its next step.
    ``written``: the answer as it is without ``stream``.

    Raises:
        RequestError: what went wrong.
    """
    shown: asyncio.Queue[Preview | None] = asyncio.Queue()
    watch = Watch(on_preview=shown.put_nowait)
    work = asyncio.create_task(draw(serving, wanted, wish.output_format, wish.compression, watch))
    work.add_done_callback(lambda _: shown.put_nowait(None))
    try:
        while (preview := await shown.get()) is not None:
            yield await _partial(serving, preview, wanted, wish, route)
        yield _completed(written(await work), wish, route)
    finally:
        work.cancel()
        await asyncio.wait({work})


async def _partial(
    serving: Serving, preview: Preview, wanted: GenerationRequest, wish: Wish, route: Route
) -> bytes:
    height, width = preview.pixels.shape[1:3]
    description: dict[str, object] = {}
    if serving.settings.file_metadata:
        description = {
            "model": serving.name,
            "revision": revision(serving),
            "seed": wanted.seeds[0],
            "step": f"{preview.step} of {preview.of}",
        }
    (file,) = await serving.pool.encode_all(
        preview.pixels, wish.output_format, [description], quality=wish.compression
    )
    return event(
        f"{NAMES[route]}.partial_image",
        {
            "b64_json": base64.b64encode(file).decode("ascii"),
            "background": "opaque",
            "created_at": int(time.time()),
            "output_format": wish.output_format,
            "partial_image_index": preview.index,
            "quality": wish.quality,
            "size": f"{width}x{height}",
        },
    )


def _completed(answer: dict[str, Any], wish: Wish, route: Route) -> bytes:
    """All that the answer says of its one picture."""
    rest = dict(answer)
    (picture,) = rest.pop("data")
    rest["created_at"] = rest.pop("created")
    user = {"safety_identifier": wish.user} if wish.user else {}
    return event(f"{NAMES[route]}.completed", {**rest, **picture, **user, "usage": USAGE})


def event(name: str, content: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: ".encode() + orjson.dumps({"type": name, **content}) + b"\n\n"
