"""``/v1/videos``, jobs that are asked for, watched, fetched and deleted; also ``/openai/v1``."""

import asyncio
import hashlib
from dataclasses import replace
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from ...contract.generation import GenerationRequest
from ...errors import EngineLost, InvalidRequest, Unsupported
from ...jobs.job import Job, new_job
from ...media.encode import CONTENT_TYPES, VIDEO
from ...media.remote import PictureFetcher
from .. import gate
from ..body import read_body, until_disconnect
from ..context import Serving
from ..outcomes import counted
from ..v2_rest import check_model
from ..video_jobs import THUMBNAIL, VideoJobs
from .bodies import read
from .fields import LONGEST_USER, Route
from .filming import NAMES, Film, asked_for, read_film
from .images import IGNORED, PREFIXES, PROTOCOL
from .schema import request_body

VARIANTS: Final = {"video": VIDEO, "thumbnail": THUMBNAIL}
ORDERS: Final = {"desc": True, "asc": False}
USUAL_PAGE: Final = 20
LARGEST_PAGE: Final = 100
# OpenAI's SDK polls as often as the first answer says.
POLL: Final = {"openai-poll-after-ms": "500"}
# What OpenAI's API makes of a video that is there already.
NOT_MADE: Final = ("edits", "extensions", "characters", "{video_id}/remix")


def jobs_of(serving: Serving) -> VideoJobs:
    """Of one server."""

    async def prepare(job: Job, reference: bytes | None) -> GenerationRequest:
        wanted = await _prepared(serving, dict(job.request), reference)
        # Nobody waits for it, unless who asked said how long it is wanted.
        return wanted if "timeout_s" in job.request else replace(wanted, deadline=None)

    return VideoJobs(serving, prepare)


def build_router(serving: Serving, jobs: VideoJobs) -> APIRouter:
    """Its routes, under both prefixes."""
    router = APIRouter(tags=["OpenAI videos"])

    async def create(request: Request) -> Response:
        with counted(serving.metrics, PROTOCOL) as line:
            content_type = request.headers.get("content-type", "")
            sent = await read_body(request, serving.settings.max_body_bytes)
            await gate.admit(serving)
            work = _create(serving, jobs, request, content_type, sent, line)
            return await until_disconnect(request, work)

    async def listed(request: Request) -> Response:
        after, limit, newest_first = _paging(request)
        found, more = await jobs.page(_owner(request), after, limit, newest_first)
        data = [_written(job, jobs.durable) for job in found]
        ids = [each["id"] for each in data] or [None]
        return JSONResponse(
            {"object": "list", "data": data, "first_id": ids[0], "last_id": ids[-1],
             "has_more": more}
        )  # fmt: skip

    async def retrieve(request: Request, video_id: str) -> Response:
        job = await jobs.get(video_id, _owner(request))
        return JSONResponse(_written(job, jobs.durable), headers=POLL if job.unfinished else {})

    async def content(request: Request, video_id: str) -> Response:
        variant = request.query_params.get("variant", "video")
        if variant not in VARIANTS:
            raise InvalidRequest("variant", f"must be one of {', '.join(VARIANTS)}")
        kind = VARIANTS[variant]
        found = await jobs.content(video_id, _owner(request), kind)
        return Response(found, media_type=CONTENT_TYPES[kind])

    async def delete(request: Request, video_id: str) -> Response:
        await jobs.delete(video_id, _owner(request))
        return JSONResponse({"id": video_id, "object": "video.deleted", "deleted": True})

    async def refuse(request: Request) -> Response:
        raise Unsupported(
            f"{request.url.path[:200]}: videos are made of a prompt and an input_reference here"
        )

    routes: list[tuple[str, str, Any]] = [
        ("POST", "", create),
        ("GET", "", listed),
        *(("POST", f"/{each}", refuse) for each in NOT_MADE),
        ("GET", "/{video_id}", retrieve),
        ("GET", "/{video_id}/content", content),
        ("DELETE", "/{video_id}", delete),
    ]
    for prefix in PREFIXES:
        for method, path, answer in routes:
            router.add_api_route(
                f"{prefix}/videos{path}",
                answer,
                methods=[method],
                name=f"openai_videos_{answer.__name__}",
                openapi_extra=request_body(Route.VIDEOS) if answer is create else None,
                include_in_schema=prefix == PREFIXES[0] and answer is not refuse,
                response_model=None,
            )
    return router


async def _create(
    serving: Serving,
    jobs: VideoJobs,
    request: Request,
    content_type: str,
    sent: bytes,
    line: dict[str, str],
) -> Response:
    body = await read(content_type, sent, PictureFetcher(serving.settings).fetch)
    model = body.values.get("model", serving.name)
    if not isinstance(model, str):
        raise InvalidRequest("model", "must be text")
    check_model(serving, model)
    film = read_film(body, serving.settings)
    if film.user:
        line["user"] = film.user
    wanted = await _prepared(serving, dict(film.values), film.reference)
    owner = _owner(request)
    job = new_job(
        owner=owner,
        payer=f"{owner} {film.user}",
        # A restart draws the same video.
        request={**film.values, "seed": wanted.seeds[0]},
        told=_told(serving, wanted),
        fingerprint=_fingerprint(film),
        key=_key(request),
    )
    taken = await jobs.add(job, film.reference)
    headers = {IGNORED: ", ".join(film.ignored)} if film.ignored else {}
    return JSONResponse(_written(taken, jobs.durable), headers={**headers, **POLL})


async def _prepared(
    serving: Serving, values: dict[str, Any], reference: bytes | None
) -> GenerationRequest:
    description = serving.role.description
    if description is None:
        raise EngineLost("no model is loaded")
    try:
        ask = await asyncio.to_thread(asked_for, values, reference, description, serving.settings)
        return serving.role.prepare(ask)
    except InvalidRequest as error:
        raise error.named(NAMES.get(error.field, error.field)) from None


def _told(serving: Serving, wanted: GenerationRequest) -> dict[str, object]:
    """What is known of the video before it is drawn."""
    sampling = wanted.sampling
    frames, rate = sampling.num_frames or 1, sampling.fps
    return {
        "model": serving.name,
        "prompt": wanted.prompts[0],
        "size": f"{sampling.width}x{sampling.height}",
        "seconds": f"{frames / rate:g}" if rate else "0",
        "seed": wanted.seeds[0],
        "num_frames": frames,
        "fps": rate,
    }


def _written(job: Job, durable: bool) -> dict[str, Any]:
    told = dict(job.told)
    about = {name: told.pop(name) for name in ("seed", "num_frames", "fps")}
    error = {"code": job.code, "message": job.problem} if job.code else None
    return {
        "id": job.id,
        "object": "video",
        "status": str(job.status),
        "progress": job.progress,
        "created_at": int(job.created),
        "completed_at": None if job.ended is None or error else int(job.ended),
        "expires_at": None if job.expires is None else int(job.expires),
        "error": error,
        "remixed_from_video_id": None,
        **told,
        "kiln": {**about, "restarts": job.restarts, "durable": durable},
    }


def _owner(request: Request) -> str:
    """What one API key asked for, another does not see. The key itself is not kept."""
    key = request.headers.get("authorization", "")
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= LONGEST_USER:
        raise InvalidRequest("Idempotency-Key", f"must have 1 to {LONGEST_USER} characters")
    return key


def _fingerprint(film: Film) -> str:
    made = hashlib.sha256(orjson.dumps(dict(film.values), option=orjson.OPT_SORT_KEYS))
    made.update(film.reference or b"")
    return made.hexdigest()


def _paging(request: Request) -> tuple[str | None, int, bool]:
    query = request.query_params
    limit, order = query.get("limit", str(USUAL_PAGE)), query.get("order", "desc")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= LARGEST_PAGE:
        raise InvalidRequest("limit", f"must be a whole number from 1 to {LARGEST_PAGE}")
    if order not in ORDERS:
        raise InvalidRequest("order", f"must be one of {', '.join(ORDERS)}")
    return query.get("after"), int(limit), ORDERS[order]
