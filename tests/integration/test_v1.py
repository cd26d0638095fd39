"""KServe v1: a thin adapter onto the same way that v2 takes."""

import base64

import httpx

from tests.integration.support.requests import (
    INFER,
    KNOBS,
    PREDICT,
    PROMPT,
    SEED,
    base64_of,
    body,
    opened,
    pictures,
    png,
)
from tests.integration.support.server import MODEL, ServerProcess


def test_two_instances_become_two_predictions_in_order(server: ServerProcess) -> None:
    instances = [
        {"prompt": PROMPT, **KNOBS},
        {"prompt": "a green tree on a blue background", **KNOBS, "seed": SEED + 1, "width": 64},
    ]
    answer = server.client.post(PREDICT, json={"instances": instances})
    assert answer.status_code == httpx.codes.OK, answer.text[:1000]
    first, second = answer.json()["predictions"]
    drawn = [base64.b64decode(each["generated_image"][0]) for each in (first, second)]
    assert [opened(each).size for each in drawn] == [(128, 128), (64, 128)]
    assert [first["seeds"], second["seeds"]] == [str(SEED), str(SEED + 1)]
    assert drawn[0] == pictures(server.client.post(INFER, json=body()))[0]


def test_pictures_come_in_as_base64(server: ServerProcess) -> None:
    instance = {"prompt": PROMPT, **KNOBS, "image": base64_of(png()), "strength": 0.5}
    answer = server.client.post(PREDICT, json={"instances": [instance]})
    assert answer.status_code == httpx.codes.OK, answer.text[:1000]
    (prediction,) = answer.json()["predictions"]
    assert opened(base64.b64decode(prediction["generated_image"][0])).size == (128, 128)


def test_models_and_readiness(server: ServerProcess) -> None:
    """OpenAI's clients find their keys in the same answers."""
    assert server.client.get("/v1/models").json()["models"] == [MODEL]
    answer = server.client.get(f"/v1/models/{MODEL}")
    assert answer.status_code == httpx.codes.OK
    assert {"name": MODEL, "ready": True}.items() <= answer.json().items()
