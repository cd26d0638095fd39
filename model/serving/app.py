"""Compose the REST application: routes, error answers, metrics. Imports no kserve: the port must be
up before it is there.
"""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from .. import __version__
from ..contract.roles import Role
from ..errors import KilnError, NotReady, PayloadTooLarge
from ..roles.stage_worker import StageWorker
from ..telemetry.logs import get_logger
from . import adapter_rest, remote_vae_rest, v1_rest, v2_rest
from .context import Serving
from .farewell import Farewell
from .openai import envelope, images, videos
from .traced import Traced
from .video_jobs import VideoJobs

log = get_logger(__name__)


def create_app(serving: Serving, jobs: VideoJobs) -> FastAPI:
    """The application of one server."""
    app = FastAPI(
        title="Kiln",
        version=__version__,
        summary="KServe-native diffusion server: Ready only when it is warm.",
    )
    app.include_router(v2_rest.build_router(serving))
    app.include_router(v1_rest.build_router(serving))
    app.include_router(images.build_router(serving))
    app.include_router(videos.build_router(serving, jobs))
    if serving.settings.loras:
        app.include_router(adapter_rest.build_router(serving))
    if isinstance(serving.role, StageWorker) and serving.settings.role is Role.DECODER:
        security = serving.stages.security
        app.include_router(remote_vae_rest.build_router(serving, serving.role, security))

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(serving.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    app.add_middleware(Farewell, state=serving.state)
    app.add_middleware(Traced)
    app.add_exception_handler(KilnError, _kiln_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)
    return app


async def _kiln_error(request: Request, error: Exception) -> JSONResponse:
    """The protocol's error shape. 503s of the gate carry state and progress besides."""
    assert isinstance(error, KilnError)
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = f"{error.retry_after:.0f}"
    if isinstance(error, PayloadTooLarge):
        # The rest of the body may still be coming; nobody shall wait for its end.
        headers["Connection"] = "close"
    if envelope.speaks(request.url.path):
        return JSONResponse(envelope.of(error), error.http_status, headers=headers)
    details = error.details if isinstance(error, NotReady) else {}
    return JSONResponse({"error": str(error), **details}, error.http_status, headers=headers)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """404 and 405 of the router, in the same shape."""
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: {request.method} {request.url.path[:200]}; see /docs"
    body: dict[str, Any] = {"error": message}
    if envelope.speaks(request.url.path):
        body = envelope.written(message, "invalid_request_error", "not_found")
    return JSONResponse(body, error.status_code, headers=error.headers)


async def _internal_error(request: Request, error: Exception) -> JSONResponse:
    """The boundary: logged with its traceback, told without."""
    log.error("request_failed", path=request.url.path, exc_info=error)
    message = "internal error; the server's log has it"
    body: dict[str, Any] = {"error": message}
    if envelope.speaks(request.url.path):
        body = envelope.written(message, KilnError.openai_type, KilnError.openai_code)
    return JSONResponse(body, 500)
