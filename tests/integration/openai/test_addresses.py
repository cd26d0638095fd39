"""Pictures by address, through a whole server that fetches from one host."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.integration.support.requests import base64_of, png
from tests.integration.support.server import ServerProcess

KNOBS = {"prompt": "a fox", "num_inference_steps": 2, "seed": 7}
PICTURE = png()


class Pictures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PICTURE)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a host of pictures, on one of the two addresses that its name has."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as host:
        threading.Thread(target=host.serve_forever).start()
        yield host.server_port
        host.shutdown()


@pytest.fixture(scope="module")
def fetching(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    flags = (
        *("--image-url-hosts", f"http://localhost:{port}"),
        *("--image-url-networks", "127.0.0.0/8,::1/128"),
        *("--warmup-mode", "off"),
    )
    with ServerProcess(tmp_path_factory.mktemp("fetching"), *flags) as running:
        yield running.wait_ready()


def drawn(answer: httpx.Response) -> str:
    assert answer.status_code == httpx.codes.OK, answer.text[:500]
    found: str = answer.json()["data"][0]["b64_json"]
    return found


def test_a_picture_by_address_is_the_picture_itself(fetching: ServerProcess, port: int) -> None:
    url = f"http://localhost:{port}/fox.png"
    edits = "/v1/images/edits"
    reference = drawn(fetching.client.post(edits, json={**KNOBS, "image": base64_of(PICTURE)}))
    for name, value in (("image", url), ("images", [{"image_url": url}])):
        assert drawn(fetching.client.post(edits, json={**KNOBS, name: value})) == reference
    form = {name: str(value) for name, value in KNOBS.items()} | {"image": url}
    parts = {name: (None, value) for name, value in form.items()}
    assert drawn(fetching.client.post(edits, files=parts)) == reference


def test_another_host_is_refused(fetching: ServerProcess, port: int) -> None:
    asked = {**KNOBS, "image": f"http://127.0.0.1:{port}/fox.png"}
    answer = fetching.client.post("/v1/images/edits", json=asked)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("image", "invalid_value")
    assert "on a host that this server does not fetch from" in error["message"]
