"""KServe v1 over REST: a thin adapter for clients that speak nothing newer.

OpenAI's list of models has the same address, and its clients read other keys: one answer has both.
"""

import time
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ..errors import InvalidRequest
from . import gate
from .body import read_body, until_disconnect
from .context import Serving
from .outcomes import counted
from .v2_rest import check_model


def build_router(serving: Serving) -> APIRouter:
    """``/v1/models`` and ``:predict``."""
    router = APIRouter(tags=["KServe v1"])
    entry = {"id": serving.name, "object": "model", "created": int(time.time()), "owned_by": "kiln"}

    @router.get("/v1/models")
    @router.get("/openai/v1/models", include_in_schema=False)
    async def models() -> dict[str, Any]:
        return {"models": [serving.name], "object": "list", "data": [entry]}

    @router.get("/v1/models/{name}")
    @router.get("/openai/v1/models/{name}", include_in_schema=False)
    async def model(name: str) -> JSONResponse:
        check_model(serving, name)
        ready = serving.state.ready
        return JSONResponse({"name": name, "ready": ready, **entry}, 200 if ready else 503)

    @router.post("/v1/models/{name}:predict")
    async def predict(request: Request, name: str) -> JSONResponse:
        with counted(serving.metrics, "v1"):
            check_model(serving, name)
            body = await read_body(request, serving.settings.max_body_bytes)
            await gate.admit(serving)
            return await until_disconnect(request, _predict(serving, body, dict(request.headers)))

    return router


async def _predict(serving: Serving, body: bytes, headers: dict[str, str]) -> JSONResponse:
    answer, _ = await serving.data_plane.infer(
        serving.name, _instances(body, serving.settings.max_images), headers
    )
    return JSONResponse(answer)


def _instances(body: bytes, most: int) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("body", f"is not JSON: {error.msg} at byte {error.pos}") from None
    instances = found.get("instances") if isinstance(found, dict) else None
    if not isinstance(instances, list) or not 1 <= len(instances) <= most:
        raise InvalidRequest("instances", f"must be a list of 1 to {most} objects")
    return {"instances": instances}
