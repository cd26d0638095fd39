"""KServe v2 over REST: the paths of the Open Inference Protocol."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ..errors import UnknownModel, UnknownVersion, Unsupported
from . import card, gate
from .body import read_body, until_disconnect
from .context import Serving
from .outcomes import counted

INFER_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": {"type": "string"},
                        "parameters": {"type": "object"},
                        "inputs": {"type": "array", "items": {"type": "object"}},
                        "outputs": {"type": "array", "items": {"type": "object"}},
                    },
                },
                "example": {
                    "inputs": [
                        {"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["a fox"]}
                    ],
                    "parameters": {"seed": 7},
                },
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def build_router(serving: Serving) -> APIRouter:
    """All routes under ``/v2``. Health and metadata answer in every state (W31)."""
    router = APIRouter(prefix="/v2", tags=["KServe v2"])

    @router.get("")
    async def server_metadata() -> dict[str, Any]:
        return card.server_metadata()

    @router.get("/health/live")
    async def live() -> JSONResponse:
        return JSONResponse({"live": serving.state.live}, 200 if serving.state.live else 503)

    @router.get("/health/ready")
    async def ready() -> JSONResponse:
        return _ready(serving, {})

    @router.get("/models")
    async def models() -> dict[str, list[str]]:
        return {"models": [serving.name]}

    @router.get("/models/{name}")
    @router.get("/models/{name}/versions/{version}", include_in_schema=False)
    async def model_metadata(name: str, version: str | None = None) -> JSONResponse:
        check_model(serving, name, version)
        return JSONResponse(card.model_metadata(serving))

    @router.get("/models/{name}/ready")
    @router.get("/models/{name}/versions/{version}/ready", include_in_schema=False)
    async def model_ready(name: str, version: str | None = None) -> JSONResponse:
        check_model(serving, name, version)
        return _ready(serving, {"name": name})

    @router.post("/models/{name}/infer", openapi_extra=INFER_BODY)
    @router.post("/models/{name}/versions/{version}/infer", include_in_schema=False)
    async def infer(request: Request, name: str, version: str | None = None) -> Response:
        with counted(serving.metrics, "v2-rest"):
            check_model(serving, name, version)
            body = await read_body(request, serving.settings.max_body_bytes)
            await gate.admit(serving)
            return await until_disconnect(request, _infer(serving, body, dict(request.headers)))

    @router.post("/repository/models/{name}/load", include_in_schema=False)
    @router.post("/repository/models/{name}/unload", include_in_schema=False)
    async def repository(name: str) -> None:
        raise Unsupported("loading and unloading by request is off: the model is chosen at start")

    return router


def check_model(serving: Serving, name: str, version: str | None = None) -> None:
    """Raises:
    UnknownModel, UnknownVersion: naming what is served.
    """
    if name != serving.name:
        raise UnknownModel(name, serving.name)
    known = card.versions(serving)
    if version is not None and version not in known:
        raise UnknownVersion(version, known[0] if known else "none yet")


async def _infer(serving: Serving, body: bytes, headers: dict[str, str]) -> Response:
    # KServe's types take seconds to import; the gate has let this request in, so they are there.
    from .v2_wire import read_request, write_response

    request = read_request(body, headers, serving.name)
    response, _ = await serving.data_plane.infer(serving.name, request, headers)
    written, response_headers = write_response(response)
    return Response(written, headers=response_headers)


def _ready(serving: Serving, names: dict[str, str]) -> JSONResponse:
    if serving.state.ready:
        degraded = {"degraded": serving.state.degraded} if serving.state.degraded else {}
        return JSONResponse({**names, "ready": True, **degraded})
    refusal = gate.refusal(serving)
    return JSONResponse(
        {**names, "ready": False, "error": str(refusal), **refusal.details},
        503,
        headers={"Retry-After": f"{refusal.retry_after:.0f}"},
    )
