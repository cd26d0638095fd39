"""Every error, on REST, in the one shape of the protocol."""

import json
from typing import Any

import httpx
import pytest

from model import errors
from model.contract.state import State
from model.serving.app import create_app
from model.serving.context import Serving
from model.serving.openai.videos import jobs_of

ERRORS: list[tuple[errors.KilnError, int, str | None]] = [
    (errors.InvalidRequest("width", "must be a number"), 400, None),
    (errors.UnknownModel("other", "mine"), 404, None),
    (errors.UnknownVersion("7", "1"), 404, None),
    (errors.PayloadTooLarge("too large"), 413, None),
    (errors.QueueFull(3, 12.0), 429, "12"),
    (errors.Cancelled("gone"), 499, None),
    (errors.GenerationFailed("the pipeline raised"), 500, None),
    (errors.Unsupported("off"), 501, None),
    (errors.EngineLost("killed"), 503, "1"),
    (errors.OutOfMemory("no room"), 503, None),
    (errors.DeadlineExceeded("too late"), 504, None),
]


def client_of(serving: Serving, error: Exception | None = None) -> httpx.AsyncClient:
    app = create_app(serving, jobs_of(serving))
    if error is not None:

        @app.get("/raise")
        async def fail() -> None:
            raise error

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.mark.parametrize(
    ("error", "status", "retry_after"), ERRORS, ids=lambda each: type(each).__name__
)
async def test_errors_carry_their_status(
    serving: Serving, error: Exception, status: int, retry_after: str | None
) -> None:
    async with client_of(serving, error) as client:
        answer = await client.get("/raise")
    assert answer.status_code == status
    assert answer.json() == {"error": str(error)}
    assert answer.headers.get("Retry-After") == retry_after


async def test_the_unexpected_is_logged_and_not_told(serving: Serving) -> None:
    async with client_of(serving, ZeroDivisionError("of a secret")) as client:
        answer = await client.get("/raise")
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal error; the server's log has it"}


async def test_a_refused_body_closes_the_connection(serving: Serving) -> None:
    """Or its sender could go on for ever."""
    async with client_of(serving, errors.PayloadTooLarge("too large")) as client:
        assert (await client.get("/raise")).headers["Connection"] == "close"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/x", 404), ("POST", "/v2", 405)])
async def test_the_router_answers_in_the_same_shape(
    serving: Serving, method: str, path: str, status: int
) -> None:
    async with client_of(serving) as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert f"{method} {path}" in answer.json()["error"]


STATES: list[tuple[tuple[State, ...], bool]] = [
    ((), True),
    ((State.LOADING,), True),
    ((State.LOADING, State.WARMING), True),
    ((State.LOADING, State.WARMING, State.READY), True),
    ((State.LOADING, State.READY, State.DRAINING), True),
    ((State.DRAINING,), True),
    ((State.LOADING, State.FAILED), False),
    ((State.DRAINING, State.STOPPED), False),
]


@pytest.mark.parametrize(("way", "live"), STATES)
async def test_W30_W34_health_in_every_state(
    serving: Serving, way: tuple[State, ...], live: bool
) -> None:
    for each in way:
        serving.state.enter(each)
    ready = bool(way) and way[-1] is State.READY
    async with client_of(serving) as client:
        statuses = {
            path: (await client.get(path)).status_code
            for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/embedded/ready")
        }
        details = (await client.get("/v2/health/ready")).json()
    assert statuses == {
        "/v2/health/live": 200 if live else 503,
        "/v2/health/ready": 200 if ready else 503,
        "/v2/models/embedded/ready": 200 if ready else 503,
    }
    assert ready or details["state"] == str(serving.state.current)


@pytest.mark.parametrize(("way", "live"), STATES)
async def test_c16_connections_end_with_the_answers_of_a_server_that_ends(
    serving: Serving, way: tuple[State, ...], live: bool
) -> None:
    """And with no others: whoever keeps one finds it open."""
    for each in way:
        serving.state.enter(each)
    ends = bool(way) and way[-1] in (State.DRAINING, State.FAILED, State.STOPPED)
    async with client_of(serving) as client:
        for path in ("/v2", "/v2/health/ready", "/nowhere"):
            assert (await client.get(path)).headers.get("Connection") == ("close" if ends else None)


@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v2/models",
        "/v2/models/embedded",
        "/v1/models",
        "/metrics",
        "/docs",
        "/openapi.json",
    ],
)
async def test_W31_answered_before_anything_is_loaded(serving: Serving, path: str) -> None:
    async with client_of(serving) as client:
        assert (await client.get(path)).status_code == 200


async def test_W25_a_degraded_server_is_ready_and_says_why(serving: Serving) -> None:
    for each in (State.LOADING, State.WARMING, State.READY):
        serving.state.enter(each)
    serving.state.degraded = "warmup of a shape failed"
    async with client_of(serving) as client:
        answer = await client.get("/v2/health/ready")
        metadata: Any = (await client.get("/v2/models/embedded")).json()
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "degraded": "warmup of a shape failed"}
    assert metadata["degraded"] == "warmup of a shape failed"


@pytest.mark.parametrize("path", ["/v2/models/embedded/infer", "/v1/models/embedded:predict"])
@pytest.mark.parametrize("mib", [33, 300])
async def test_bodies_are_bounded_before_the_gate(serving: Serving, path: str, mib: int) -> None:
    """By their declared length already, where that is far beyond the limit."""
    read = 0

    async def parts() -> Any:
        nonlocal read
        for _ in range(mib):
            read += 1
            yield bytes(1024 * 1024)

    size = mib * 1024 * 1024

    async with client_of(serving) as client:
        answer = await client.post(path, content=parts(), headers={"Content-Length": str(size)})
    assert answer.status_code == 413
    assert "--max-body-bytes" in answer.json()["error"]
    assert read == (mib if mib < 100 else 0)


async def test_W32_inference_before_ready(serving: Serving) -> None:
    serving.state.enter(State.LOADING)
    async with client_of(serving) as client:
        answer = await client.post("/v2/models/embedded/infer", content=json.dumps({}))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["state"] == "loading"
