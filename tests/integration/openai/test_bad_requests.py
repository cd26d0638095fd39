"""Wrong requests to OpenAI's images API: the status, the code and the field, for every route."""

from typing import Any

import httpx
import pytest

from tests.integration.support.requests import base64_of, png
from tests.integration.support.server import ServerProcess

BAD = httpx.codes.BAD_REQUEST
PROMPT = {"prompt": "a fox"}
IMAGE = {"image": base64_of(png())}
STREAM = {**PROMPT, "stream": True}
VALUE, UNKNOWN = "invalid_value", "unknown_parameter"
GENERATE, EDIT, VARY = "generations", "edits", "variations"

# Route, body, the field that the answer names, its code, and a part of its message.
TABLE: list[tuple[str, Any, str | None, str, str]] = [
    (GENERATE, {}, "prompt", VALUE, "is missing"),
    (GENERATE, {"prompt": None}, "prompt", VALUE, "is missing"),
    (GENERATE, {"prompt": ""}, "prompt", VALUE, "is empty"),
    (GENERATE, {"prompt": 7}, "prompt", VALUE, "must be text"),
    (GENERATE, {"prompt": ["a fox"]}, "prompt", VALUE, "must be text"),
    (GENERATE, {"prompt": "a\0fox"}, "prompt", VALUE, "NUL"),
    (GENERATE, {"prompt": "x" * 10_001}, "prompt", VALUE, "10001 characters"),
    (GENERATE, {**PROMPT, "n": 0}, "n", VALUE, "at least 1"),
    (GENERATE, {**PROMPT, "n": 11}, "n", VALUE, "at most 10"),
    (GENERATE, {**PROMPT, "n": 1.5}, "n", VALUE, "whole number"),
    (GENERATE, {**PROMPT, "n": "two"}, "n", VALUE, "must be a number"),
    (GENERATE, {**PROMPT, "n": True}, "n", VALUE, "must be a number"),
    (GENERATE, {**PROMPT, "size": "big"}, "size", VALUE, "WIDTHxHEIGHT"),
    (GENERATE, {**PROMPT, "size": "128"}, "size", VALUE, "WIDTHxHEIGHT"),
    (GENERATE, {**PROMPT, "size": "0x128"}, "size", VALUE, "WIDTHxHEIGHT"),
    (GENERATE, {**PROMPT, "size": "-128x128"}, "size", VALUE, "WIDTHxHEIGHT"),
    (GENERATE, {**PROMPT, "size": "128x128x3"}, "size", VALUE, "WIDTHxHEIGHT"),
    (GENERATE, {**PROMPT, "size": 128}, "size", VALUE, "must be text"),
    (GENERATE, {**PROMPT, "size": "129x128"}, "size", VALUE, "multiple"),
    (GENERATE, {**PROMPT, "size": "8192x8192"}, "size", VALUE, "pixels"),
    (GENERATE, {**PROMPT, "quality": "best"}, "quality", VALUE, "one of"),
    (
        GENERATE,
        {**PROMPT, "quality": "low", "num_inference_steps": 3},
        "quality",
        VALUE,
        "give one",
    ),
    (GENERATE, {**PROMPT, "background": "transparent"}, "background", VALUE, "one of"),
    (GENERATE, {**PROMPT, "output_format": "gif"}, "output_format", VALUE, "one of"),
    (GENERATE, {**PROMPT, "output_format": "raw"}, "output_format", VALUE, "one of"),
    (GENERATE, {**PROMPT, "output_compression": 50}, "output_compression", VALUE, "jpeg"),
    (
        GENERATE,
        {**PROMPT, "output_format": "jpeg", "output_compression": 101},
        "output_compression",
        VALUE,
        "at most 100",
    ),
    (GENERATE, {**PROMPT, "response_format": "url"}, "response_format", VALUE, "b64_json"),
    (GENERATE, {**PROMPT, "response_format": "file"}, "response_format", VALUE, "one of"),
    (GENERATE, {**PROMPT, "user": "u" * 257}, "user", VALUE, "257"),
    (GENERATE, {**PROMPT, "user": 3}, "user", VALUE, "must be text"),
    (GENERATE, {**PROMPT, "model": 3}, "model", VALUE, "must be text"),
    (GENERATE, {**PROMPT, "stream": "yes"}, "stream", VALUE, "true or false"),
    (GENERATE, {**PROMPT, "stream": True, "n": 2}, "n", VALUE, "must be 1"),
    (GENERATE, {**PROMPT, "partial_images": 2}, "partial_images", VALUE, "stream to true"),
    (GENERATE, {**STREAM, "partial_images": 4}, "partial_images", VALUE, "at most 3"),
    (GENERATE, {**STREAM, "partial_images": -1}, "partial_images", VALUE, "at least 0"),
    (
        GENERATE,
        {**STREAM, "partial_images": 2, "num_inference_steps": 2},
        "partial_images",
        VALUE,
        "below the number of steps, and this picture has 2",
    ),
    (EDIT, {**STREAM, **IMAGE, "size": "100x100"}, "size", VALUE, "multiple"),
    (
        EDIT,
        {**STREAM, **IMAGE, "partial_images": 1, "num_inference_steps": 4, "strength": 0.4},
        "partial_images",
        VALUE,
        "this picture has 1",
    ),
    (VARY, {**IMAGE, "stream": True}, "stream", UNKNOWN, "not a field"),
    (GENERATE, {**PROMPT, "moderation": "low"}, "moderation", UNKNOWN, "moderated"),
    (GENERATE, {**PROMPT, "style": "vivid"}, "style", UNKNOWN, "prompt"),
    (GENERATE, {**PROMPT, "sede": 3}, "sede", UNKNOWN, "seed"),
    (GENERATE, {**PROMPT, "width": 128}, "width", UNKNOWN, "size"),
    (GENERATE, {**PROMPT, **IMAGE}, "image", UNKNOWN, "not a field"),
    (GENERATE, {**PROMPT, "strength": 0.5}, "strength", UNKNOWN, "not a field"),
    (GENERATE, {**PROMPT, "seed": -1}, "seed", VALUE, "at least 0"),
    (GENERATE, {**PROMPT, "seed": 2**63}, "seed", VALUE, "at most"),
    (GENERATE, {**PROMPT, "num_inference_steps": 0}, "num_inference_steps", VALUE, "at least"),
    (GENERATE, {**PROMPT, "num_inference_steps": 5000}, "num_inference_steps", VALUE, "at most"),
    (GENERATE, {**PROMPT, "guidance_scale": "NaN"}, "guidance_scale", VALUE, "finite"),
    (GENERATE, {**PROMPT, "timeout_s": 1e9}, "timeout_s", VALUE, "at most"),
    (GENERATE, {**PROMPT, "true_cfg_scale": 4}, "true_cfg_scale", VALUE, "does not take"),
    (GENERATE, [PROMPT], "body", VALUE, "JSON object"),
    (GENERATE, "a fox", "body", VALUE, "JSON object"),
    (GENERATE, b"{", "body", VALUE, "not JSON"),
    (GENERATE, b"", "body", VALUE, "not JSON"),
    (EDIT, PROMPT, "image", VALUE, "is missing"),
    (EDIT, IMAGE, "prompt", VALUE, "is missing"),
    (EDIT, {**PROMPT, "image": ""}, "image", VALUE, "base64"),
    (EDIT, {**PROMPT, "image": "!!"}, "image", VALUE, "not base64"),
    (EDIT, {**PROMPT, "image": 3}, "image", VALUE, "base64"),
    (EDIT, {**PROMPT, "image": []}, "image", VALUE, "is missing"),
    (EDIT, {**PROMPT, "image": base64_of(b"no picture")}, "image", VALUE, "not a readable"),
    (EDIT, {**PROMPT, "image": "data:image/png,abc"}, "image", VALUE, ";base64,"),
    (EDIT, {**PROMPT, "image": "https://example.com/a.png"}, "image", VALUE, "fetches nothing"),
    (EDIT, {**PROMPT, "images": [{"file_id": "file-1"}]}, "images", VALUE, "file_id"),
    (EDIT, {**PROMPT, "images": [{}]}, "images", VALUE, "base64"),
    (EDIT, {**PROMPT, **IMAGE, "images": [IMAGE["image"]]}, "images", VALUE, "give one"),
    (EDIT, {**PROMPT, "image": [IMAGE["image"]] * 2}, "image", VALUE, "2 elements"),
    (EDIT, {**PROMPT, "image": [IMAGE["image"]] * 17}, "image", VALUE, "17 pictures"),
    (EDIT, {**PROMPT, **IMAGE, "mask": IMAGE["image"]}, "mask", VALUE, "transparent"),
    (EDIT, {**PROMPT, **IMAGE, "mask": [IMAGE["image"]] * 2}, "mask", VALUE, "one is taken"),
    (EDIT, {**PROMPT, **IMAGE, "input_fidelity": "high"}, "input_fidelity", UNKNOWN, "strength"),
    (EDIT, {**PROMPT, **IMAGE, "strength": 1.5}, "strength", VALUE, "at most 1"),
    (EDIT, {**PROMPT, **IMAGE, "size": "100x100"}, "size", VALUE, "multiple"),
    (EDIT, {**PROMPT, **IMAGE, "size": "16384x16384"}, "size", VALUE, "pixels"),
    (VARY, {}, "image", VALUE, "is missing"),
    (VARY, {**IMAGE, "quality": "low"}, "quality", UNKNOWN, "not a field"),
    (VARY, {**IMAGE, "mask": IMAGE["image"]}, "mask", UNKNOWN, "not a field"),
    (VARY, {**IMAGE, "prompt": " "}, "prompt", VALUE, "is empty"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("route", "body", "field", "code", "words"),
    TABLE,
    ids=[f"{number}-{row[0]}-{row[2]}" for number, row in enumerate(TABLE)],
)
def test_json_that_is_wrong_is_refused_by_its_field(
    server: ServerProcess, route: str, body: Any, field: str | None, code: str, words: str
) -> None:
    sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = server.client.post(f"/v1/images/{route}", **sent)
    assert answer.status_code == BAD, answer.text[:500]
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (field, code), error
    assert error["type"] == "invalid_request_error"
    assert words in error["message"]


@pytest.mark.parametrize(
    ("parts", "field", "words"),
    [
        ([("prompt", (None, "a")), ("prompt", (None, "b"))], "prompt", "given twice"),
        ([("prompt", ("a.txt", b"a fox"))], "prompt", "is a file"),
        ([("image", ("a.png", b"")), ("prompt", (None, "a"))], "image", "not a readable"),
        ([("sede", (None, "1"))], "sede", "not a field"),
        ([("markup", ("a.png", png()))], "markup", "mask"),
    ],
)
def test_a_form_that_is_wrong_is_refused_by_its_field(
    server: ServerProcess, parts: Any, field: str, words: str
) -> None:
    answer = server.client.post("/v1/images/edits", files=parts)
    assert answer.status_code == BAD, answer.text[:500]
    assert answer.json()["error"]["param"] == field
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content_type", "content", "field"),
    [
        ("text/plain", b"a fox", "Content-Type"),
        ("multipart/form-data", b"--x", "body"),
        ("multipart/form-data; boundary=x", b"no form at all", "body"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nnobody's\r\n--x--", "body"),
    ],
)
def test_a_body_that_is_neither_json_nor_a_form_is_refused(
    server: ServerProcess, content_type: str, content: bytes, field: str
) -> None:
    answer = server.client.post(
        "/v1/images/edits", content=content, headers={"Content-Type": content_type}
    )
    assert answer.status_code == BAD, answer.text[:500]
    assert answer.json()["error"]["param"] == field


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/images/nothing", 404), ("GET", "/v1/images/edits", 405)],
)
def test_what_is_not_there_is_told_in_openais_envelope(
    server: ServerProcess, method: str, path: str, status: int
) -> None:
    answer = server.client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "not_found"


def test_a_body_past_the_limit_is_refused(server: ServerProcess) -> None:
    large = {"prompt": "a fox", "user": "x" * 33 * 1024 * 1024}
    answer = server.client.post("/v1/images/generations", json=large)
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert answer.json()["error"]["code"] == "payload_too_large"
