"""``POST /decode``: the decoder for any diffusers user, by ``remote_decode(endpoint=...)``."""

import asyncio
import base64
import binascii
import time
from typing import Final

from fastapi import APIRouter, Request, Response

from ..errors import InvalidRequest
from ..transport.calling import Security, traced
from ..transport.protocol import StageRequest, StageResult, StageRunner
from . import gate, remote_vae_codec
from .body import read_body, until_disconnect
from .context import Serving
from .outcomes import counted
from .remote_vae_codec import Bounds, Decode, Tensor

PATH: Final = "/decode"
TENSOR: Final = "tensor/binary"
BASIC: Final = "Basic "


def build_router(serving: Serving, runner: StageRunner, security: Security) -> APIRouter:
    """``runner`` computes the stage. A token, where there is one, comes as a Bearer, or as the
    password in the endpoint's URL: diffusers' client can send no other.
    """
    router = APIRouter(tags=["remote VAE"])
    settings = serving.settings
    bounds = Bounds(settings.max_images, settings.max_frames, settings.max_pixels)

    @router.post(PATH)
    async def decode(request: Request) -> Response:
        with counted(serving.metrics, "remote-vae"):
            security.check(_shown(request.headers.get("authorization", "")))
            query = request.query_params
            asked = remote_vae_codec.read(query, query.getlist("shape"), bounds)
            body = await read_body(request, serving.settings.max_body_bytes)
            payload = asked.payload(body)
            await gate.admit(serving)
            deadline = time.monotonic() + serving.settings.request_timeout
            stage = StageRequest(payload, deadline, traced(request.headers))
            result = await until_disconnect(request, runner.run(stage, lambda step, of: None))
            as_tensor = request.headers.get("accept") == TENSOR
            return await _answer(serving, asked, result, as_tensor)

    return router


async def _answer(
    serving: Serving, asked: Decode, result: StageResult, as_tensor: bool
) -> Response:
    """``as_tensor``: of a picture, whoever asks wants the tensor to make it from."""
    if asked.output_type == "pt" and not asked.partial_postprocess:
        return _tensor(remote_vae_codec.raw(result))
    if asked.output_type == "pil" and as_tensor:
        return _tensor(await asyncio.to_thread(remote_vae_codec.fractions, result))
    drawn = await asyncio.to_thread(remote_vae_codec.pictures, result)
    if asked.output_type == "pt":
        return _tensor(remote_vae_codec.bytes_of(drawn))
    if len(drawn) != 1:
        raise InvalidRequest(
            "output_type",
            f"pil is one picture, and these are {len(drawn)}; ask for pt, with "
            "partial_postprocess for bytes",
        )
    (encoded,) = await serving.pool.encode_all(drawn, asked.image_format, [{}])
    return Response(encoded, media_type=f"image/{asked.image_format}")


def _tensor(found: Tensor) -> Response:
    return Response(found.data, media_type=TENSOR, headers=found.headers)


def _shown(authorization: str) -> str:
    if not authorization.startswith(BASIC):
        return authorization
    try:
        pair = base64.b64decode(authorization.removeprefix(BASIC), validate=True)
    except binascii.Error:
        return authorization
    return "Bearer " + pair.partition(b":")[2].decode(errors="replace")
