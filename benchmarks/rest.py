"""The v2 REST protocol over one kept connection of the standard library, which costs least: what a
client library adds would be counted as the server's.
"""

import base64
import http.client
import json
from collections.abc import Mapping
from typing import Any, Final

from .errors import NotMeasurable

# A first request may wait for a compilation.
TIMEOUT_SECONDS: Final = 900.0
INFERENCE_HEADER: Final = "Inference-Header-Content-Length"
OUTPUT: Final = "generated_image"
Parameters = Mapping[str, str | int | float | bool]
# Status, headers and body.
Answer = tuple[int, http.client.HTTPMessage, bytes]


class RestClient:
    """One connection, opened when needed and kept."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        self._connection.close()

    def status(self, path: str) -> int:
        """The status of a GET, 0 where nobody listens yet."""
        return self.answer(path)[0]

    def answer(self, path: str) -> tuple[int, str]:
        """Status and text of a GET; 0 and nothing where nobody listens yet."""
        try:
            status, _, body = self._send("GET", path)
        except (OSError, http.client.HTTPException):
            return 0, ""
        return status, body.decode(errors="replace")

    def get_json(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._answered("GET", path)[2])
        return found

    def get_text(self, path: str) -> str:
        return self._answered("GET", path)[2].decode()

    def draw(
        self, model: str, prompt: str, parameters: Parameters, *, binary: bool = False
    ) -> list[bytes]:
        """Encoded pictures. ``binary``: bytes after the JSON instead of base64 within it."""
        body = json.dumps(infer_request(prompt, parameters, binary=binary)).encode()
        _, headers, answer = self._answered("POST", f"/v2/models/{model}/infer", body)
        return pictures_of(answer, headers.get(INFERENCE_HEADER))

    def _answered(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """A 200, on a new connection where the server has closed the idle one."""
        try:
            try:
                answer = self._send(method, path, body)
            except ConnectionError:
                answer = self._send(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            raise NotMeasurable(f"{method} {path}: {error}") from error
        if answer[0] != http.HTTPStatus.OK:
            raise NotMeasurable(f"{method} {path}: {answer[0]} {answer[2][:300]!r}")
        return answer

    def _send(self, method: str, path: str, body: bytes | None = None) -> Answer:
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise


def infer_request(prompt: str, parameters: Parameters, *, binary: bool) -> dict[str, Any]:
    """The body of an inference request with one prompt."""
    prompt_tensor = {"name": "prompt", "shape": [1], "datatype": "BYTES", "data": [prompt]}
    extra = {"binary_data_output": True} if binary else {}
    return {"inputs": [prompt_tensor], "parameters": {**parameters, **extra}}


def pictures_of(answer: bytes, json_length: str | None) -> list[bytes]:
    """The pictures of an inference answer. ``json_length``: of the JSON before binary data, where
    the answer has any (binary tensor extension: each element is a 4-byte length and its bytes).
    """
    if json_length is None:
        output = _output(json.loads(answer))
        return [base64.b64decode(each) for each in output["data"]]
    head, tail = answer[: int(json_length)], answer[int(json_length) :]
    output = _output(json.loads(head))
    pictures = []
    while tail:
        length = int.from_bytes(tail[:4], "little")
        pictures.append(tail[4 : 4 + length])
        tail = tail[4 + length :]
    if len(pictures) != output["shape"][0]:
        raise NotMeasurable(f"{len(pictures)} pictures came, {output['shape']} were told")
    return pictures


def _output(answer: dict[str, Any]) -> dict[str, Any]:
    for output in answer["outputs"]:
        if output["name"] == OUTPUT:
            found: dict[str, Any] = output
            return found
    raise NotMeasurable(f"the answer has no output {OUTPUT!r}")
