"""A network that is bad on purpose: it stands between an operator and the real API server, passes
every byte on, and does to single requests what a test asks for.
"""

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from yarl import URL

from tests.cluster.support.kubectl import Kubectl

POLL_SECONDS: Final = 0.02
START_SECONDS: Final = 30.0
# Those of a connection, and not of what goes through it.
OWN_HEADERS: Final = frozenset({"host", "connection", "transfer-encoding", "content-length"})


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    watch: bool

    @property
    def writes(self) -> bool:
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """Given by the proxy: the API server does not hear of the request. ``page``: no JSON."""

    status: int
    retry_after: int | None = None
    page: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The API server does as it is told, and its answer does not arrive."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A watch begins, and ends with an event that says so."""

    code: int


Fault = Answer | Lost | Broken


class Proxy:
    """``spoil`` says what shall befall a request. While ``hold`` is true of one, no byte of its
    answer comes, and its connection stays open. Both are asked in a thread of its own.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.spoil: Callable[[Call], Fault | None] = lambda call: None
        self.hold: Callable[[Call], bool] = lambda call: False
        self.passed: list[Call] = []
        self._config = json.loads(kubeconfig.read_text(encoding="utf-8"))
        (named,) = self._config["clusters"]
        self._cluster = named["cluster"]
        self._upstream = self._cluster["server"]
        trust = base64.b64decode(self._cluster.pop("certificate-authority-data")).decode()
        self._trust = ssl.create_default_context(cadata=trust)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def running(self) -> Iterator["Proxy"]:
        ended = asyncio.Event()
        thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run(ended)))
        thread.start()
        try:
            assert self._ready.wait(START_SECONDS)
            yield self
        finally:
            self._loop.call_soon_threadsafe(ended.set)
            thread.join()
            self._loop.close()

    def user(self, account: Kubectl, kubeconfig: Path) -> Kubectl:
        """The account, on its way through here."""
        kubeconfig.write_text(json.dumps(self._config), encoding="utf-8")
        return replace(account, kubeconfig=kubeconfig)

    async def _run(self, ended: asyncio.Event) -> None:
        app = web.Application(client_max_size=0)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as session:

            async def handle(request: web.Request) -> web.StreamResponse:
                return await self._handle(session, request)

            app.router.add_route("*", "/{path:.*}", handle)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._cluster["server"] = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await ended.wait()
            await runner.cleanup()

    async def _handle(
        self, session: aiohttp.ClientSession, request: web.Request
    ) -> web.StreamResponse:
        call = Call(request.method, request.path, "watch" in request.query)
        fault = self.spoil(call)
        if isinstance(fault, Answer):
            return _given(fault)
        await self._let_go(call)
        self.passed.append(call)
        async with session.request(
            call.method,
            URL(self._upstream + request.raw_path, encoded=True),
            headers=_passed_on(request.headers),
            data=await request.read() or None,
        ) as answer:
            if isinstance(fault, Lost):
                await answer.read()
                return _cut(request)
            response = web.StreamResponse(status=answer.status, headers=_passed_on(answer.headers))
            await response.prepare(request)
            if isinstance(fault, Broken):
                await response.write(_end_of_watch(fault.code))
                return response
            async for chunk in answer.content.iter_any():
                await self._let_go(call)
                await response.write(chunk)
            return response

    async def _let_go(self, call: Call) -> None:
        while self.hold(call):  # noqa: ASYNC110 - it is set in another thread
            await asyncio.sleep(POLL_SECONDS)


def _passed_on(headers: Any) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name.lower() not in OWN_HEADERS}


def _given(fault: Answer) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.page:
        return web.Response(status=fault.status, text="<html>Bad gateway</html>", headers=headers)
    return web.json_response(_status(fault.status), status=fault.status, headers=headers)


def _status(code: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "message": f"spoilt with {code}",
    }


def _end_of_watch(code: int) -> bytes:
    return json.dumps({"type": "ERROR", "object": _status(code)}).encode() + b"\n"


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
