"""``POST /v1/images/generations``, ``edits`` and ``variations``; the same under ``/openai/v1``."""

import asyncio
import base64
import time
from contextlib import ExitStack
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ...contract.generation import GenerationRequest
from ...errors import EngineLost, InvalidRequest, KilnError
from ...media.remote import PictureFetcher
from .. import gate
from ..body import read_body, until_disconnect
from ..context import Serving
from ..drawing import Drawn, draw
from ..event_stream import EventStream
from ..outcomes import counted
from ..v2_rest import check_model
from . import envelope
from .bodies import read
from .fields import IMAGES, Route
from .partial import event, events, with_previews
from .reading import NAMES, Wish, understand
from .schema import request_body

PROTOCOL: Final = "openai"
PREFIXES: Final = ("/v1", "/openai/v1")
IGNORED: Final = "Kiln-Ignored-Fields"


def build_router(serving: Serving) -> APIRouter:
    """Its routes, under both prefixes."""
    router = APIRouter(tags=["OpenAI images"])

    def add(route: Route) -> None:
        async def answer(request: Request) -> Response:
            with ExitStack() as stack:
                line = stack.enter_context(counted(serving.metrics, PROTOCOL))
                content_type = request.headers.get("content-type", "")
                body = await read_body(request, serving.settings.max_body_bytes)
                await gate.admit(serving)
                work = _answer(serving, route, content_type, body, line, stack)
                return await until_disconnect(request, work)

        for prefix in PREFIXES:
            router.add_api_route(
                f"{prefix}/images/{route}",
                answer,
                methods=["POST"],
                name=f"openai_{route}",
                openapi_extra=request_body(route),
                include_in_schema=prefix == PREFIXES[0],
                response_model=None,
            )

    for route in sorted(IMAGES):
        add(route)
    return router


async def _answer(
    serving: Serving,
    route: Route,
    content_type: str,
    sent: bytes,
    line: dict[str, str],
    stack: ExitStack,
) -> Response:
    """``stack``: what ends with the answer, which of a stream is later than this."""
    body = await read(content_type, sent, PictureFetcher(serving.settings).fetch)
    model = body.values.get("model", serving.name)
    if not isinstance(model, str):
        raise InvalidRequest("model", "must be text")
    check_model(serving, model)
    description = serving.role.description
    if description is None:
        raise EngineLost("no model is loaded")
    try:
        wish = await asyncio.to_thread(understand, body, route, description, serving.settings)
        if wish.user:
            line["user"] = wish.user
        wanted = serving.role.prepare(wish.ask)
    except InvalidRequest as error:
        raise error.named(NAMES.get(error.field, error.field)) from None
    if wanted.task.makes_video:
        raise InvalidRequest("model", "makes videos, and this route answers with pictures")
    headers = {IGNORED: ", ".join(wish.ignored)} if wish.ignored else {}
    if wish.stream:
        return await _streamed(
            serving, with_previews(serving, wanted, wish), wish, route, stack, headers
        )
    drawn = await draw(serving, wanted, wish.output_format, wish.compression)
    return JSONResponse(_written(drawn, wish), headers=headers)


async def _streamed(
    serving: Serving,
    wanted: GenerationRequest,
    wish: Wish,
    route: Route,
    stack: ExitStack,
    headers: dict[str, str],
) -> Response:
    coming = events(serving, wanted, wish, route, lambda drawn: _written(drawn, wish))
    try:
        first = await anext(coming)
    except BaseException:
        await coming.aclose()
        raise
    return EventStream(first, coming, stack.pop_all(), _told, headers)


def _told(error: KilnError) -> bytes:
    return event("error", envelope.of(error))


def _written(drawn: Drawn, wish: Wish) -> dict[str, Any]:
    shape = drawn.generation.shape
    return {
        "created": int(time.time()),
        "background": "opaque",
        "output_format": wish.output_format,
        "quality": wish.quality,
        "size": f"{shape.width}x{shape.height}",
        "data": [
            {"b64_json": base64.b64encode(file).decode("ascii"), "seed": seed}
            for file, seed in zip(drawn.files or [], drawn.generation.seeds, strict=True)
        ],
        "kiln": drawn.facts,
    }
