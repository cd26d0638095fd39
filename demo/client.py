"""KServe v2 by the standard library alone: this is all that a client needs."""

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
MODEL = "embedded"


class Refused(Exception):
    """The server answered, but not with what was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is the JSON of the answer, empty where it has none."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def call(port: int, path: str, body: object = None, seconds: float = 60.0) -> Answer:
    """GET ``path``, or POST ``body`` as JSON to it.

    Raises:
        OSError: nothing listens, or no answer came in time.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=seconds)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"broken answer: {error!r}") from error
    finally:
        connection.close()
    return Answer(
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        _parsed(text),
    )


def metadata(port: int) -> dict[str, Any]:
    """What the server says about its model: inputs, outputs, state, timeline, warmup report."""
    return _accepted(call(port, f"/v2/models/{MODEL}")).body


def infer(port: int, prompt: str, seed: int) -> Answer:
    """Ask for one picture; the answer may be a refusal."""
    request = {
        "inputs": [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": [prompt]}],
        "parameters": {"seed": seed},
    }
    return call(port, f"/v2/models/{MODEL}/infer", request)


def draw(port: int, prompt: str, seed: int) -> bytes:
    """One picture as a PNG file's bytes.

    Raises:
        Refused: the server did not draw it, and says why.
    """
    answer = _accepted(infer(port, prompt, seed))
    for output in answer.body["outputs"]:
        if output["name"] == "generated_image":
            return base64.b64decode(output["data"][0])
    raise Refused("the answer holds no output named generated_image")


def _accepted(answer: Answer) -> Answer:
    if answer.status != http.client.OK:
        raise Refused(f"{answer.status}: {answer.body.get('error', 'no reason given')}")
    return answer


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
