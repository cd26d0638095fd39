"""Servers are asked beside the reconciles, over real HTTP, and none of them too often."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from controller.inquiry import (
    AT_ONCE,
    LARGEST,
    MOST_PODS,
    SILENT_AFTER,
    WHILE_READY,
    WHILE_STARTING,
    Inquiry,
    Server,
)
from controller.observed import ServiceKey
from controller.telling import Told
from model.contract.state import State

from .test_telling import ANSWER

KEY = ServiceKey("art", "fox")
OTHER = ServiceKey("art", "wolf")
SECONDS = 20.0


def answer(state: str, done: int = 3) -> str:
    return json.dumps({**ANSWER, "state": state, "warmup": {**ANSWER["warmup"], "done": done}})


class Pods:
    """A server for all addresses of the loopback, and a clock of its own."""

    def __init__(self) -> None:
        self.text, self.status = answer("warming", 1), 200
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.hold: asyncio.Event | None = None
        self.now = 0.0
        self.changed: list[ServiceKey] = []
        self.inquiry: Inquiry

    async def respond(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.url.host}{request.path}")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.hold is not None:
            await self.hold.wait()
        self.at_once -= 1
        return web.Response(status=self.status, text=self.text)

    def follow(self, *servers: Server, key: ServiceKey = KEY) -> dict[str, Told | None]:
        return self.inquiry.follow(key, "fox", servers)

    def pass_time(self, seconds: float) -> None:
        """And look at the clock."""
        self.now += seconds
        self.inquiry._wake.set()

    async def until(self, so: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS):
            while not so():  # noqa: ASYNC110 - of real HTTP, not of one object
                await asyncio.sleep(0.01)

    async def rest(self) -> None:
        """Whatever is due has been asked: another service is, after it."""
        number = self.asked.count("127.0.0.99/v2/models/fox")
        self.follow(Server("last", str(self.now) + str(number), "127.0.0.99", False), key=OTHER)
        await self.until(lambda: self.asked.count("127.0.0.99/v2/models/fox") > number)
        await self.until(lambda: not self.at_once)

    def of(self, address: str) -> int:
        return self.asked.count(f"{address}/v2/models/fox")


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    made = Pods()
    app = web.Application()
    app.add_routes([web.get("/v2/models/{name}", made.respond)])
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()  # noqa: S104 - 127.0.0.1 and its neighbours
    made.inquiry = Inquiry(made.changed.append, runner.addresses[0][1], lambda: made.now)
    running = asyncio.create_task(made.inquiry.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await runner.cleanup()


def server(number: int = 1, *, ready: bool = False, run: str = "1/0", **given: Any) -> Server:
    return Server(f"pod-{number:02}", run, f"127.0.0.{number}", ready, **given)


async def test_c05_a_reconcile_reads_the_last_answer_and_never_waits(pods: Pods) -> None:
    pods.hold = asyncio.Event()
    assert pods.follow(server()) == {}
    await pods.until(lambda: pods.asked)
    assert pods.follow(server()) == {}, "it is being asked"
    pods.hold.set()
    await pods.until(lambda: pods.changed)
    assert pods.changed == [KEY]
    (told,) = pods.follow(server()).values()
    assert told is not None
    assert (told.state, told.done, told.of) == (State.WARMING, 1, 3)


async def test_c05_only_what_is_new_brings_a_reconcile(pods: Pods) -> None:
    pods.follow(server())
    await pods.until(lambda: pods.changed)
    pods.pass_time(WHILE_STARTING)
    await pods.until(lambda: pods.of("127.0.0.1") == 2)
    pods.text = answer("warming", 2)
    pods.pass_time(WHILE_STARTING)
    await pods.until(lambda: len(pods.changed) == 2)
    assert pods.of("127.0.0.1") == 3


async def test_c05_nobody_is_asked_too_often(pods: Pods) -> None:
    pods.text = answer("ready")
    starting, ready = server(1), server(2, ready=True)
    pods.follow(starting, ready)
    await pods.until(lambda: len(pods.changed) == 2)
    for _ in range(5):
        pods.follow(starting, ready)
    pods.pass_time(WHILE_STARTING - 0.1)
    await pods.rest()
    assert (pods.of("127.0.0.1"), pods.of("127.0.0.2")) == (1, 1)
    pods.pass_time(0.2)
    await pods.rest()
    assert (pods.of("127.0.0.1"), pods.of("127.0.0.2")) == (2, 1)
    pods.pass_time(WHILE_READY)
    await pods.rest()
    assert (pods.of("127.0.0.1"), pods.of("127.0.0.2")) == (3, 2)


async def test_c05_one_that_becomes_ready_is_asked_at_once_and_keeps_what_it_said(
    pods: Pods,
) -> None:
    pods.follow(server())
    await pods.until(lambda: pods.changed)
    pods.text = answer("ready")
    (told,) = pods.follow(server(ready=True)).values()
    assert told is not None
    assert told.state is State.WARMING
    await pods.until(lambda: len(pods.changed) == 2)
    (told,) = pods.follow(server(ready=True)).values()
    assert told is not None
    assert told.state is State.READY


async def test_c05_another_run_of_a_pod_has_said_nothing_yet(pods: Pods) -> None:
    pods.follow(server())
    await pods.until(lambda: pods.changed)
    assert pods.follow(server(run="1/1")) == {}
    await pods.until(lambda: pods.of("127.0.0.1") == 2)


@pytest.mark.parametrize("trouble", ["closed", "404", "strange", "large", "hangs"])
async def test_c05_one_that_cannot_be_asked_becomes_unknown_and_is_asked_less_and_less(
    pods: Pods, trouble: str
) -> None:
    if trouble == "closed":
        pods.inquiry.port = 1
    elif trouble == "hangs":
        pods.hold = asyncio.Event()
        pods.inquiry.patience = 0.1
    pods.status = 404 if trouble == "404" else 200
    pods.text = {"strange": "<html>", "large": pods.text + " " * LARGEST}.get(trouble, pods.text)
    for _ in range(SILENT_AFTER - 1):
        assert pods.follow(server()) == {}, "its port may open a moment late"
        line = pods.inquiry._lines[KEY]["pod-01"]
        before = line.failures
        await pods.until(lambda: line.failures == before + 1)  # noqa: B023
        pods.pass_time(line.due - pods.now)
    await pods.until(lambda: pods.changed)
    assert pods.follow(server()) == {"pod-01": None}
    assert line.due - pods.now == 2.0 ** (SILENT_AFTER - 1)


async def test_c05_one_that_was_silent_is_heard_again(pods: Pods) -> None:
    pods.status = 503
    pods.follow(server())
    for number in range(SILENT_AFTER):
        line = pods.inquiry._lines[KEY]["pod-01"]
        await pods.until(lambda: line.failures == number + 1)  # noqa: B023
        pods.pass_time(line.due - pods.now)
    pods.status = 200
    pods.pass_time(WHILE_READY)
    await pods.until(lambda: len(pods.changed) == 2)
    (told,) = pods.follow(server()).values()
    assert told is not None


async def test_c05_of_many_pods_few_are_asked_and_those_that_start_first(pods: Pods) -> None:
    pods.hold = asyncio.Event()
    many = [server(each, ready=each > 3) for each in range(1, 60)]
    pods.follow(*many)
    pods.follow(*(server(each) for each in range(60, 90)), key=OTHER)
    lines = [each for of in pods.inquiry._lines.values() for each in of.values()]
    await pods.until(lambda: all(each.asking for each in lines) and pods.at_once >= AT_ONCE)
    pods.hold.set()
    await pods.until(lambda: not any(each.asking for each in lines))
    assert len(pods.asked) == 2 * MOST_PODS
    assert {pods.of(f"127.0.0.{each}") for each in (1, 2, 3)} == {1}
    assert pods.most_at_once == AT_ONCE


async def test_c05_those_that_are_gone_are_asked_no_more(pods: Pods) -> None:
    pods.follow(server(1), server(2))
    await pods.until(lambda: len(pods.changed) == 2)
    pods.follow(server(1))
    pods.pass_time(WHILE_STARTING)
    await pods.until(lambda: pods.of("127.0.0.1") == 2)
    pods.inquiry.forget(KEY)
    pods.pass_time(WHILE_STARTING)
    await pods.rest()
    assert (pods.of("127.0.0.1"), pods.of("127.0.0.2")) == (2, 1)


async def test_c05_a_router_is_asked_until_it_has_proven_whoever_is_ready_behind_it(
    pods: Pods,
) -> None:
    def proven(number: int) -> str:
        return json.dumps(
            {**json.loads(answer("ready")), "roles": {"denoiser": {"proven": number}}}
        )

    def router(ready: int) -> Server:
        return replace(server(ready=True), behind={"denoiser": ready})

    pods.text = proven(1)
    pods.follow(router(1))
    await pods.until(lambda: pods.changed)
    pods.pass_time(WHILE_STARTING)
    await pods.rest()
    assert pods.of("127.0.0.1") == 1, "it has nothing more to tell"
    pods.follow(router(2))
    await pods.until(lambda: pods.of("127.0.0.1") == 2)
    pods.text = proven(2)
    pods.pass_time(WHILE_STARTING)
    await pods.until(lambda: pods.of("127.0.0.1") == 3)
    pods.pass_time(WHILE_STARTING)
    await pods.rest()
    assert pods.of("127.0.0.1") == 3
