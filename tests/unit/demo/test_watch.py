"""The demo's proof holds for a server that keeps its promise, and for no other."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from demo.child import ServerEnded
from demo.client import Refused, draw
from demo.watch import BrokenPromise, check_promise, watch

TIMELINE = {"live": 1.0, "loaded": 2.0, "warm": 3.0, "ready": 3.1}
PROVEN = {"shape": "text-to-image 128x128", "proven": True}
WARMING = {"error": "warming", "state": "warming"}


class Script(http.server.BaseHTTPRequestHandler):
    """Answers readiness by ``server.script``, one entry a request, the last one again and again."""

    def do_GET(self) -> None:
        if self.path == "/v2/health/live":
            return self.answer(200, {})
        script: list[tuple[int, dict[str, Any]]] = self.server.script  # type: ignore[attr-defined]
        return self.answer(*(script.pop(0) if len(script) > 1 else script[0]))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(503, WARMING)

    def answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Retry-After", "3")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Quiet."""


@contextmanager
def server(*script: tuple[int, dict[str, Any]]) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Script) as listening:
        listening.script = list(script)  # type: ignore[attr-defined]
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening.server_address[1]
        listening.shutdown()


def test_watch_records_each_change_once() -> None:
    loading = (503, {"state": "loading"})
    with server(loading, loading, (503, WARMING), (503, WARMING), (200, {"ready": True})) as port:
        seen = watch(port, time.monotonic(), lambda: None)
    assert [(each.live, each.ready, each.state) for each in seen.changes] == [
        (200, 503, "loading"),
        (200, 503, "warming"),
        (200, 200, "ready"),
    ]
    assert seen.asked == 4
    assert seen.refused is not None
    assert (seen.refused.status, seen.refused.headers["retry-after"]) == (503, "3")


def test_watch_ends_with_the_server() -> None:
    def ended() -> None:
        raise ServerEnded("the server ended with exit status 4: no such folder")

    with pytest.raises(ServerEnded, match="no such folder"):
        watch(1, time.monotonic(), ended)


def test_draw_tells_why_it_was_refused() -> None:
    with server((200, {})) as port, pytest.raises(Refused, match="503: warming"):
        draw(port, "a fox", seed=7)


def test_a_kept_promise_passes() -> None:
    check_promise({"timeline": TIMELINE, "warmup": {"shapes": [PROVEN]}})


@pytest.mark.parametrize(
    ("timeline", "shapes", "reason"),
    [
        (TIMELINE, [], "any shape"),
        (TIMELINE, [PROVEN, {"shape": "inpainting 128x128", "proven": False}], "inpainting"),
        (TIMELINE | {"warm": 3.2}, [PROVEN], "out of order"),
        ({"live": 1.0, "loaded": 2.0, "ready": 3.1}, [PROVEN], "out of order"),
    ],
    ids=["no shape", "unproven", "warm after ready", "never warm"],
)
def test_a_broken_promise_is_told(
    timeline: dict[str, float], shapes: list[dict[str, Any]], reason: str
) -> None:
    with pytest.raises(BrokenPromise, match=reason):
        check_promise({"timeline": timeline, "warmup": {"shapes": shapes}})
