"""Requests as users write them, and what comes back as pictures."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.integration.support.server import MODEL

INFER = f"/v2/models/{MODEL}/infer"
PREDICT = f"/v1/models/{MODEL}:predict"
PROMPT = "a red apple on a white background"
OUTPUT = "generated_image"
# Few steps: what is drawn does not matter here, only that it is the same.
STEPS = 2
SEED = 7
KNOBS = {"num_inference_steps": STEPS, "seed": SEED}


def tensor(name: str, *elements: Any, datatype: str = "BYTES") -> dict[str, Any]:
    """A v2 input of one dimension, as JSON."""
    return {
        "name": name,
        "shape": [len(elements)],
        "datatype": datatype,
        "data": list(elements),
    }


def body(*prompts: str, inputs: Sequence[dict[str, Any]] = (), **knobs: Any) -> dict[str, Any]:
    """A v2 request: prompts, further inputs, and parameters besides ``KNOBS``. A parameter that is
    None is left out."""
    parameters = {name: value for name, value in {**KNOBS, **knobs}.items() if value is not None}
    return {"inputs": [tensor("prompt", *(prompts or (PROMPT,))), *inputs],
            "parameters": parameters}  # fmt: skip


def pictures(answer: httpx.Response) -> list[bytes]:
    """The encoded pictures of a v2 answer in JSON."""
    assert answer.status_code == httpx.codes.OK, answer.text[:1000]
    (output,) = answer.json()["outputs"]
    assert (output["name"], output["datatype"]) == (OUTPUT, "BYTES")
    assert output["shape"] == [len(output["data"])]
    return [base64.b64decode(each, validate=True) for each in output["data"]]


def opened(data: bytes) -> Image.Image:
    """The picture, wholly decoded."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def pixels(data: bytes) -> Any:
    """uint8 [height, width, 3]."""
    return np.asarray(opened(data).convert("RGB"))


def png(
    width: int = 128, height: int = 128, colour: Any = (200, 30, 60), mode: str = "RGB"
) -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new(mode, (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
