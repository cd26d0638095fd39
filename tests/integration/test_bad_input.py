"""Wrong requests over REST: the right status, an error that names the field and echoes nothing, and
a server that draws the same picture as before when all of them have come.
"""

import contextlib
import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.support.requests import (
    INFER,
    KNOBS,
    PREDICT,
    PROMPT,
    base64_of,
    body,
    pictures,
    png,
    tensor,
)
from tests.integration.support.server import MODEL, ServerProcess

BAD = httpx.codes.BAD_REQUEST
# In every payload whose content must not come back.
SECRET = "s3cret-payload"  # noqa: S105
BODY_LIMIT = 32 * 1024 * 1024


@pytest.fixture(scope="module", autouse=True)
def _unharmed(server: ServerProcess) -> Iterator[None]:
    """The next good request after all of them is answered as before, by the same engine."""
    engine = server.engine()
    before = pictures(server.client.post(INFER, json=body()))
    yield
    assert pictures(server.client.post(INFER, json=body())) == before
    assert server.engine() == engine
    assert not [each for each in server.events() if each.get("level") == "error"]
    assert SECRET not in server.log()


def bomb() -> bytes:
    """A PNG of 50000x50000 pixels in a few bytes: the header says so, the data hardly exists."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


def image(data: bytes) -> dict[str, Any]:
    return tensor("image", base64_of(data))


def without(request: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != key}


def refused(answer: httpx.Response, status: int, field: str) -> str:
    """The message of an answer in the protocol's error shape that names ``field``."""
    assert answer.status_code == status, answer.text[:1000]
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert list(found) == ["error"]
    message: str = found["error"]
    assert field in message
    assert SECRET not in message
    assert len(message) < 1000
    assert "Traceback" not in message
    return message


# -- the prompt, and other tensors -------------------------------------------------------------

TENSORS: dict[str, tuple[str, dict[str, Any]]] = {
    "no inputs": ("prompt", {"inputs": []}),
    "inputs missing": ("inputs", {"parameters": KNOBS}),
    "inputs no list": ("inputs", {"inputs": {"name": "prompt"}}),
    "input no object": ("inputs[0]", {"inputs": [SECRET]}),
    "prompt missing": ("prompt", {"inputs": [tensor("negative_prompt", SECRET)]}),
    "prompt empty": ("prompt", body("")),
    "prompt blank": ("prompt", body(" \t\n")),
    "prompt of no elements": ("prompt", {"inputs": [tensor("prompt")]}),
    "prompt with NUL": ("prompt", body(f"{SECRET}\0")),
    "prompt overlong": ("prompt", body(SECRET * 1000)),
    "second prompt empty": ("prompt", body(PROMPT, "")),
    "prompt null": ("prompt", body(None)),  # type: ignore[arg-type]
    "prompt a number": ("prompt", body(7)),  # type: ignore[arg-type]
    "prompt lone surrogate": ("body", body("\ud800")),
    "negative prompt with NUL": ("negative_prompt", body(inputs=[tensor("negative_prompt", "\0")])),
    "too many negative prompts": (
        "negative_prompt",
        body(PROMPT, inputs=[tensor("negative_prompt", "a", "b")]),
    ),
    "too many prompts": ("prompt", body(*[SECRET] * 17)),
    "unknown input": (SECRET[:3], body(inputs=[tensor("s3c", SECRET)])),
    "input twice": ("prompt", body(inputs=[tensor("prompt", SECRET)])),
    "knob twice": (
        "num_inference_steps",
        body(inputs=[tensor("num_inference_steps", 2, datatype="INT64")]),
    ),
    "knob of two elements": ("width", body(inputs=[tensor("width", 128, 128, datatype="INT64")])),
    "knob of no element": ("width", body(inputs=[tensor("width", datatype="INT64")])),
    "knob as text": ("width", body(inputs=[tensor("width", SECRET)])),
    "wrong datatype": ("prompt", {"inputs": [tensor("prompt", 1, datatype="INT64")]}),
    "unknown datatype": ("datatype", {"inputs": [tensor("prompt", SECRET, datatype="STRING")]}),
    "no datatype": ("datatype", {"inputs": [without(tensor("prompt", SECRET), "datatype")]}),
    "datatype no text": ("datatype", {"inputs": [tensor("prompt", SECRET, datatype=[])]}),  # type: ignore[arg-type]
    "no name": ("name", {"inputs": [without(tensor("prompt", SECRET), "name")]}),
    "no shape": ("shape", {"inputs": [without(tensor("prompt", SECRET), "shape")]}),
    "no data": ("data", {"inputs": [without(tensor("prompt", SECRET), "data")]}),
    "data no list": ("data", {"inputs": [{**tensor("prompt", SECRET), "data": SECRET}]}),
    "shape of two columns": (
        "prompt",
        {"inputs": [{**tensor("prompt", "a", "b"), "shape": [1, 2]}]},
    ),
    "shape of three dimensions": (
        "prompt",
        {"inputs": [{**tensor("prompt", SECRET), "shape": [1, 1, 1]}]},
    ),
    "shape empty": ("prompt", {"inputs": [{**tensor("prompt", SECRET), "shape": []}]}),
    "shape negative": ("shape", {"inputs": [{**tensor("prompt", SECRET), "shape": [-1]}]}),
    "shape fraction": ("shape", {"inputs": [{**tensor("prompt", SECRET), "shape": [1.5]}]}),
    "shape true": ("shape", {"inputs": [{**tensor("prompt", SECRET), "shape": [True]}]}),
    "shape no list": ("shape", {"inputs": [{**tensor("prompt", SECRET), "shape": 1}]}),
    "more elements than the shape": (
        "prompt",
        {"inputs": [{**tensor("prompt", SECRET, SECRET), "shape": [1]}]},
    ),
    "fewer elements than the shape": (
        "prompt",
        {"inputs": [{**tensor("prompt", SECRET), "shape": [2]}]},
    ),
    "shape of billions": ("prompt", {"inputs": [{**tensor("prompt", SECRET), "shape": [10**12]}]}),
    "unknown key": ("extra", {**body(), "extra": SECRET}),
    "unknown key of an input": ("extra", {"inputs": [{**tensor("prompt", SECRET), "extra": 1}]}),
    "unknown parameter of an input": (
        "extra",
        {"inputs": [{**tensor("prompt", SECRET), "parameters": {"extra": 1}}]},
    ),
    "model of another name": ("model_name", {**body(), "model_name": "other"}),
    "id no text": ("id", {**body(), "id": 7}),
    "id overlong": ("id", {**body(), "id": SECRET * 100}),
    "parameters no object": ("parameters", {**body(), "parameters": [SECRET]}),
    "outputs no list": ("outputs", {**body(), "outputs": SECRET}),
    "output no object": ("outputs[0]", {**body(), "outputs": [SECRET]}),
    "output without a name": ("outputs", {**body(), "outputs": [{}]}),
    "unknown output": ("generated_image", {**body(), "outputs": [{"name": "depth"}]}),
    "unknown output parameter": (
        "classification",
        {**body(), "outputs": [{"name": "generated_image", "parameters": {"classification": 3}}]},
    ),
    "binary_data no flag": (
        "binary_data",
        {**body(), "outputs": [{"name": "generated_image", "parameters": {"binary_data": "yes"}}]},
    ),
    "binary_data_output no flag": ("binary_data_output", body(binary_data_output="yes")),
    "image no base64": ("image", body(inputs=[tensor("image", "no base64!")])),
    "image lone surrogate": ("body", body(inputs=[tensor("image", "\ud800")])),
    "image of other letters": ("image", body(inputs=[tensor("image", "ÄÖÜ=")])),
    "image a text file": ("image", body(inputs=[image(SECRET.encode())])),
    "image empty": ("image", body(inputs=[tensor("image", "")])),
    "image cut off": ("image", body(inputs=[image(png()[:-40])])),
    "image a bomb": ("image", body(inputs=[image(bomb())])),
    "image of one unaligned side": ("width", body(inputs=[image(png(100, 128))])),
    "image number": ("image", body(inputs=[tensor("image", 7)])),
    "two images for one prompt": (
        "image",
        body(inputs=[tensor("image", base64_of(png()), base64_of(png()))]),
    ),
    "too many images": ("image", body(inputs=[tensor("image", *[base64_of(png())] * 17)])),
    "mask without image": ("mask", body(inputs=[tensor("mask", base64_of(png()))])),
    "mask a text file": (
        "mask",
        body(inputs=[image(png()), tensor("mask", base64_of(SECRET.encode()))]),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("field", "request_body"), TENSORS.values(), ids=TENSORS)
def test_wrong_tensors(server: ServerProcess, field: str, request_body: dict[str, Any]) -> None:
    # Not httpx' own encoder: it refuses lone surrogates, which the server must meet.
    answer = server.client.post(
        INFER,
        content=json.dumps(request_body),
        headers={"Content-Type": "application/json"},
    )
    refused(answer, BAD, field)


# -- parameters --------------------------------------------------------------------------------

PARAMETERS: list[tuple[str, Any]] = [
    ("num_inference_steps", 0),
    ("num_inference_steps", -1),
    ("num_inference_steps", 10**9),
    ("num_inference_steps", 10**30),
    ("num_inference_steps", "NaN"),
    ("num_inference_steps", "inf"),
    ("num_inference_steps", 2.5),
    ("num_inference_steps", "2.5"),
    ("num_inference_steps", True),
    ("num_inference_steps", [2]),
    ("num_inference_steps", {}),
    ("num_inference_steps", SECRET),
    ("num_inference_steps", "9" * 5000),
    ("num_inference_steps", ""),
    ("width", 100),
    ("width", 0),
    ("width", -16),
    ("width", 10**9),
    ("width", 16 * 10**6),
    ("height", 129),
    ("height", "1e300"),
    ("height", "1e400"),
    ("guidance_scale", "inf"),
    ("guidance_scale", "-inf"),
    ("guidance_scale", "nan"),
    ("guidance_scale", -1),
    ("guidance_scale", "9" * 400),
    ("true_cfg_scale", 4.0),  # a parameter, but not of this pipeline
    ("max_sequence_length", 77),
    ("num_images_per_prompt", 0),
    ("num_images_per_prompt", 17),
    ("num_images_per_prompt", 10**12),
    ("seed", -1),
    ("seed", 2**64),
    ("seed", 2**63),
    ("seed", "abc"),
    ("seed", 1.5),
    ("strength", 0.5),  # without an image
    ("output_format", "gif"),
    ("output_format", "PNG"),
    ("output_format", 3),
    ("timeout_s", 0),
    ("timeout_s", -1),
    ("timeout_s", 10**9),
    ("timeout_s", "soon"),
    ("priority", 10**6),
    ("deterministic", "perhaps"),
    ("deterministic", 1),
    ("num_frames", 17),
    ("fps", 8),
    ("num_steps", 2),
    ("prompt", SECRET),
    ("", 1),
]


@pytest.mark.parametrize(("name", "value"), PARAMETERS, ids=lambda each: repr(each)[:24])
def test_wrong_parameters(server: ServerProcess, name: str, value: Any) -> None:
    content = json.dumps(body(**{name: value}))
    refused(server.client.post(INFER, content=content), BAD, name)


def test_too_many_pictures_of_several_prompts(server: ServerProcess) -> None:
    answer = server.client.post(INFER, json=body(*["a dog"] * 4, num_images_per_prompt=5))
    refused(answer, BAD, "num_images_per_prompt")


@pytest.mark.parametrize("name", ["image", "mask"])
def test_a_picture_is_not_blown_up_beyond_the_limit(server: ServerProcess, name: str) -> None:
    """The size is refused before a picture of that size is made."""
    inputs = [tensor(each, base64_of(png())) for each in dict.fromkeys(("image", name))]
    answer = server.client.post(INFER, json=body(inputs=inputs, width=16_384, height=16_384))
    refused(answer, BAD, "width")


@pytest.mark.parametrize("strength", [0, -0.5, 1.01, 0.1])
def test_wrong_strength(server: ServerProcess, strength: float) -> None:
    """Strength 0.1 of two steps would be no step at all."""
    answer = server.client.post(INFER, json=body(inputs=[image(png())], strength=strength))
    refused(answer, BAD, "strength")


# -- the envelope ------------------------------------------------------------------------------

BODIES: dict[str, tuple[str, bytes]] = {
    "empty": ("body", b""),
    "not JSON": ("body", SECRET.encode()),
    "cut off": ("body", json.dumps(body()).encode()[:-5]),
    "array": ("body", b"[1, 2]"),
    "number": ("body", b"7"),
    "null": ("body", b"null"),
    "not UTF-8": ("body", json.dumps(body()).encode().replace(b"red", b"r\xff\xfe")),
    "UTF-16": ("body", json.dumps(body()).encode("utf-16")),
    "NaN": ("body", json.dumps(body(guidance_scale=float("nan"))).encode()),
    "infinity": ("body", json.dumps(body(guidance_scale=float("inf"))).encode()),
    "number beyond every type": ("body", json.dumps(body(guidance_scale=10**400)).encode()),
    "nested deeply": ("body", b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "nested within limits": (
        "prompt",
        json.dumps({"inputs": [tensor("prompt", json.loads("[" * 800 + "]" * 800))]}).encode(),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("field", "content"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", [INFER, PREDICT])
def test_wrong_bodies(server: ServerProcess, path: str, field: str, content: bytes) -> None:
    if path == PREDICT:
        field = "body" if content[:1] not in b"[7n" and field == "body" else "instances"
    refused(server.client.post(path, content=content), BAD, field if content else "body")


def binary_request(
    raw: bytes = b"",
    size: Any = None,
    length: str | None = None,
    prompt: dict[str, Any] | None = None,
) -> tuple[bytes, dict[str, str]]:
    """A body whose prompt follows the JSON; ``size`` and ``length`` where they shall be wrong."""
    written = raw or struct.pack("<I", len(SECRET)) + SECRET.encode()
    head = json.dumps(
        {
            "inputs": [
                {
                    **without(tensor("prompt", SECRET), "data"),
                    **(prompt or {}),
                    "parameters": {"binary_data_size": len(written) if size is None else size},
                }
            ],
            "parameters": KNOBS,
        }
    ).encode()
    header = str(len(head)) if length is None else length
    return head + written, {"Inference-Header-Content-Length": header} if header else {}


HEADER, SIZE = "Inference-Header-Content-Length", "binary_data_size"
BINARY: dict[str, tuple[str, tuple[bytes, dict[str, str]]]] = {
    "header no number": (HEADER, binary_request(length="many")),
    "header negative": (HEADER, binary_request(length="-5")),
    "header fraction": (HEADER, binary_request(length="1.5")),
    "header larger than the body": (HEADER, binary_request(length="100000")),
    "header huge": (HEADER, binary_request(length="9" * 5000)),
    "header zero": ("body", binary_request(length="0")),
    "header too small": ("body", binary_request(length="20")),
    "header missing": ("body", binary_request(length="")),
    "size too large": (SIZE, binary_request(size=10_000)),
    "size huge": (SIZE, binary_request(size=10**19)),
    "size negative": (SIZE, binary_request(size=-1)),
    "size no number": (SIZE, binary_request(size="18")),
    "size true": (SIZE, binary_request(size=True)),
    "size fraction": (SIZE, binary_request(size=1.5)),
    "left-over bytes": ("body", binary_request(size=5)),
    "size zero": ("body", binary_request(size=0)),
    "data and size": ("prompt", binary_request(prompt={"data": [SECRET]})),
    "length prefix too large": ("prompt", binary_request(struct.pack("<I", 100) + b"abc")),
    "length prefix cut off": ("prompt", binary_request(b"\x01\x00")),
    "length prefix too small": ("prompt", binary_request(struct.pack("<I", 1) + b"abc")),
    "not UTF-8": ("prompt", binary_request(struct.pack("<I", 2) + b"\xff\xfe")),
    "two for one": ("prompt", binary_request(2 * (struct.pack("<I", 1) + b"a"))),
    "wrong datatype": ("prompt", binary_request(prompt={"datatype": "INT32"})),
}


@pytest.mark.parametrize(("field", "sent"), BINARY.values(), ids=BINARY)
def test_wrong_binary_extension(
    server: ServerProcess, field: str, sent: tuple[bytes, dict[str, str]]
) -> None:
    content, headers = sent
    answer = server.client.post(INFER, content=content, headers=headers)
    message = answer.json().get("error", "")
    assert field in message or (field == "prompt" and "inputs[0]" in message), message
    refused(answer, BAD, "")


def test_binary_size_without_the_header(server: ServerProcess) -> None:
    request = body()
    del request["inputs"][0]["data"]
    request["inputs"][0]["parameters"] = {"binary_data_size": 4}
    refused(server.client.post(INFER, json=request), BAD, HEADER)


def test_compressed_body(server: ServerProcess) -> None:
    answer = server.client.post(
        INFER,
        content=gzip.compress(json.dumps(body()).encode()),
        headers={"Content-Encoding": "gzip"},
    )
    refused(answer, BAD, "Content-Encoding")


@pytest.mark.parametrize("path", [INFER, PREDICT])
@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 100 * 1024 * 1024])
def test_body_beyond_the_limit(server: ServerProcess, path: str, size: int) -> None:
    """The client reads a 413, not a broken connection."""
    refused(server.client.post(path, content=bytes(size)), 413, "--max-body-bytes")


def test_endless_body_is_cut_off(server: ServerProcess) -> None:
    """A client that never stops sending is not listened to for ever."""
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100 * BODY_LIMIT:
            sent += 1024 * 1024
            yield bytes(1024 * 1024)

    # A client that is cut off while it sends may never see the 413.
    with contextlib.suppress(httpx.TransportError):
        refused(server.client.post(INFER, content=endless()), 413, "--max-body-bytes")
    assert sent < 50 * BODY_LIMIT


def test_a_wrong_request_leaves_the_connection_usable(server: ServerProcess) -> None:
    """One connection, wrong and right requests in turns; only a body too large ends it."""
    limits = httpx.Limits(max_connections=1)
    with httpx.Client(
        base_url=server.base_url, limits=limits, trust_env=False, timeout=60
    ) as client:
        streams = set()
        for request_body in (body(width=0), body(), {"inputs": []}, body()):
            answer = client.post(INFER, json=request_body)
            streams.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            assert answer.status_code in (200, 400)
    assert len(streams) == 1


def test_wrong_requests_are_counted(server: ServerProcess) -> None:
    def counted(protocol: str) -> float:
        name = f'kiln_requests_total{{outcome="invalid",protocol="{protocol}"}} '
        lines = server.client.get("/metrics").text.splitlines()
        return sum(float(each.removeprefix(name)) for each in lines if each.startswith(name))

    before = [counted("v2-rest"), counted("v1")]
    refused(server.client.post(INFER, json=body(width=0)), BAD, "width")
    refused(server.client.post(INFER, content=b"{"), BAD, "body")
    refused(server.client.post(PREDICT, json={}), BAD, "instances")
    assert [counted("v2-rest"), counted("v1")] == [before[0] + 2, before[1] + 1]


# -- paths and methods -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/v2/models", 405),
        ("GET", INFER, 405),
        ("DELETE", INFER, 405),
        ("GET", PREDICT, 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/other/ready", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("POST", f"/v2/models/{MODEL}/versions/7/infer", 404),
        ("GET", f"/v2/models/{MODEL}/versions/7", 404),
        ("GET", f"/v2/models/{MODEL}/versions/7/ready", 404),
        ("GET", "/v1/models/other", 404),
        ("POST", "/v1/models/other:predict", 404),
        ("POST", f"/v1/models/{MODEL}:explain", 405),
        ("POST", f"/v2/repository/models/{MODEL}/load", 501),
        ("POST", f"/v2/repository/models/{MODEL}/unload", 501),
        ("POST", "/v2/repository/models/other/load", 501),
    ],
)
def test_wrong_paths(server: ServerProcess, method: str, path: str, status: int) -> None:
    refused(server.client.request(method, path, json={}), status, "")


def test_unknown_model_is_answered_with_the_served_one(server: ServerProcess) -> None:
    refused(server.client.get("/v2/models/other"), 404, f"'{MODEL}'")


def test_unknown_version_is_answered_with_the_served_one(server: ServerProcess) -> None:
    revision = server.metadata()["versions"][0]
    path = f"/v2/models/{MODEL}/versions/7/infer"
    refused(server.client.post(path, json=body()), 404, revision)
    known = path.replace("/7/", f"/{revision}/")
    assert len(pictures(server.client.post(known, json=body()))) == 1


# -- v1 ----------------------------------------------------------------------------------------

V1: dict[str, tuple[str, Any]] = {
    "no instances": ("instances", {}),
    "instances no list": ("instances", {"instances": {"prompt": SECRET}}),
    "instances empty": ("instances", {"instances": []}),
    "too many instances": ("instances", {"instances": [{"prompt": SECRET}] * 17}),
    "instance no object": ("instances[0]", {"instances": [SECRET]}),
    "prompt missing": ("prompt", {"instances": [{"seed": 1}]}),
    "prompt empty": ("prompt", {"instances": [{"prompt": ""}]}),
    "prompt a number": ("prompt", {"instances": [{"prompt": 7}]}),
    "second instance wrong": ("instances[1]", {"instances": [{"prompt": PROMPT, **KNOBS}, 7]}),
    "unknown parameter": ("colour", {"instances": [{"prompt": SECRET, "colour": SECRET}]}),
    "wrong steps": (
        "num_inference_steps",
        {"instances": [{"prompt": SECRET, "num_inference_steps": 0}]},
    ),
    "width no number": ("width", {"instances": [{"prompt": SECRET, "width": [SECRET]}]}),
    "image no base64": ("image", {"instances": [{"prompt": SECRET, "image": "no base64!"}]}),
}


@pytest.mark.parametrize(("field", "request_body"), V1.values(), ids=V1)
def test_wrong_v1_requests(server: ServerProcess, field: str, request_body: Any) -> None:
    refused(server.client.post(PREDICT, json=request_body), BAD, field)
