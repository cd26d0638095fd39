"""What ``python -m controller try`` refuses before it asks a cluster."""

import base64
import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.__main__ import main
from controller.errors import BadInput, InvalidService
from controller.service import Service
from controller.trial import NotServed, Trial, _draw

PICTURE = base64.b64encode(b"\x89PNG\r\n").decode()


def body(spec: str) -> dict[str, Any]:
    return Trial("art", spec, timeout=1, kubeconfig=None).body()


def test_a_service_has_a_name_of_its_own() -> None:
    first, second = body("{}"), body("{}")
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["metadata"]["namespace"] == "art"
    assert first["spec"] == {}


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("{", BadInput, "--spec: .*; write the spec as JSON"),
        ("[]", BadInput, r"--spec: write an object, such as \{\}"),
        (json.dumps({"replica": 1}), InvalidService, "spec.replica"),
        (json.dumps({"replicas": -1}), InvalidService, "spec.replicas: .*must be at least 0"),
    ],
)
def test_c14_a_spec_that_cannot_be_is_refused_with_its_field(
    spec: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        body(spec)


def test_it_ends_with_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", "--spec", '{"replica": 1}']) == InvalidService.exit_code
    assert "did you mean replicas" in capsys.readouterr().err
    assert main(["try", "--kubeconfig", "/nowhere"]) == BadInput.exit_code
    assert "no cluster" in capsys.readouterr().err


def service(url: str) -> Service:
    metadata = {"name": "fox", "namespace": "art"}
    return Service.read({"metadata": metadata, "spec": {}, "status": {"url": url}})


async def answered(status: int, text: str) -> None:
    """What becomes of this answer of a server."""

    async def infer(request: web.Request) -> web.Response:
        assert (await request.json())["inputs"][0]["name"] == "prompt"
        return web.Response(status=status, text=text)

    app = web.Application()
    app.add_routes([web.post("/v2/models/fox/infer", infer)])
    async with TestServer(app) as server:
        await _draw(service(str(server.make_url("")).rstrip("/")))


async def test_a_picture_is_a_picture() -> None:
    await answered(200, json.dumps({"outputs": [{"data": [PICTURE]}]}))


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "<html>a page of the ingress</html>"),
        (200, '{"outputs": []}'),
        (200, '{"outputs": [{"data": ["Zm94"]}]}'),
        (503, json.dumps({"outputs": [{"data": [PICTURE]}]})),
    ],
)
async def test_anything_else_is_told(status: int, text: str) -> None:
    with pytest.raises(NotServed, match=f"/v2/models/fox/infer answered {status} and no PNG"):
        await answered(status, text)


async def test_a_service_without_an_address_is_told() -> None:
    with pytest.raises(NotServed, match="art/fox is Ready, and has no address"):
        await _draw(service(""))
