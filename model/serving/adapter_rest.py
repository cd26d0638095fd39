"""Choose a LoRA for all following requests, over REST (W42). The path is there only where the
server was started with ``--loras``: a client names an adapter that was declared, never a file.
"""

import math
from dataclasses import asdict

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ..contract.adapter import Adapter
from ..errors import InvalidRequest
from . import gate
from .body import read_body
from .context import Serving
from .v2_rest import check_model

STRONGEST = 100.0
FIELDS = ("lora", "scale")


def build_router(serving: Serving) -> APIRouter:
    """``PUT /v2/models/{name}/adapter``."""
    router = APIRouter(prefix="/v2", tags=["KServe v2"])

    @router.put("/models/{name}/adapter")
    async def adapter(request: Request, name: str) -> JSONResponse:
        check_model(serving, name)
        body = await read_body(request, serving.settings.max_body_bytes)
        wanted = read_adapter(body, list(serving.settings.loras))
        if not serving.state.ready:
            raise gate.refusal(serving)
        changes = wanted != serving.role.adapter
        if changes:
            serving.change_adapter(wanted)
        # Accepted, and not yet done: the server is Ready again once all shapes are warm.
        answer = {
            "adapter": asdict(wanted) if wanted else None,
            "state": str(serving.state.current),
        }
        return JSONResponse(answer, 202 if changes else 200)

    return router


def read_adapter(body: bytes, declared: list[str]) -> Adapter | None:
    """``{"lora": NAME or null, "scale": NUMBER}``.

    Raises:
        InvalidRequest: naming the field that is wrong.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("body", f"is not JSON: {error.msg} at byte {error.pos}") from None
    if not isinstance(found, dict) or "lora" not in found:
        raise InvalidRequest("lora", "is missing: give the name of an adapter, or null for none")
    for field in found:
        if field not in FIELDS:
            raise InvalidRequest(field[:100], f"is unknown; known are {', '.join(FIELDS)}")
    scale = found.get("scale", 1.0)
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale):
        raise InvalidRequest("scale", "must be a finite number")
    if abs(scale) > STRONGEST:
        raise InvalidRequest("scale", f"must be from {-STRONGEST:g} to {STRONGEST:g}")
    if found["lora"] is None:
        return None
    if found["lora"] not in declared:
        raise InvalidRequest("lora", f"is not declared; declared are {', '.join(declared)}")
    return Adapter(found["lora"], float(scale))
