"""What servers tell of their warmup, over real HTTP."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from controller.progress import Inquiry, Progress
from model.contract.state import State

ANSWERS = {
    "warming": (503, '{"error": "...", "state": "warming", "done": 2, "of": 5, "eta_s": null}'),
    "ready": (200, '{"ready": true}'),
    "strange": (503, "<html>"),
    "unknown": (503, '{"state": "melting"}'),
    "list": (503, "[1]"),
}


@pytest.fixture
async def server() -> AsyncIterator[tuple[dict[str, str], int]]:
    """Its answer can be changed."""
    now = {"answer": "warming"}

    async def answer(_: web.Request) -> web.Response:
        status, text = ANSWERS[now["answer"]]
        return web.Response(status=status, text=text)

    app = web.Application()
    app.add_routes([web.get("/v2/health/ready", answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield now, runner.addresses[0][1]
    await runner.cleanup()


async def test_c05_a_server_that_warms_up_says_how_far_it_is(
    server: tuple[dict[str, str], int],
) -> None:
    _, port = server
    found = await Inquiry(port).ask(["127.0.0.1"])
    assert found == {"127.0.0.1": Progress(State.WARMING, 2, 5)}


@pytest.mark.parametrize("answer", sorted(set(ANSWERS) - {"warming"}))
async def test_c05_any_other_answer_says_nothing(
    server: tuple[dict[str, str], int], answer: str
) -> None:
    now, port = server
    now["answer"] = answer
    assert await Inquiry(port).ask(["127.0.0.1"]) == {}


async def test_c05_one_that_cannot_be_reached_is_left_alone_for_a_while(
    server: tuple[dict[str, str], int],
) -> None:
    _, port = server
    clock = [0.0]
    inquiry = Inquiry(1, lambda: clock[0])
    assert await inquiry.ask(["127.0.0.1", "::1"]) == {}
    inquiry.port = port
    assert await inquiry.ask(["127.0.0.1"]) == {}, "it was silent a moment ago"
    clock[0] += 61
    assert await inquiry.ask(["127.0.0.1"]) == {"127.0.0.1": Progress(State.WARMING, 2, 5)}


async def test_c05_an_answer_that_says_nothing_is_no_silence(
    server: tuple[dict[str, str], int],
) -> None:
    now, port = server
    inquiry = Inquiry(port)
    now["answer"] = "strange"
    assert await inquiry.ask(["127.0.0.1"]) == {}
    now["answer"] = "warming"
    assert await inquiry.ask(["127.0.0.1"]) == {"127.0.0.1": Progress(State.WARMING, 2, 5)}
