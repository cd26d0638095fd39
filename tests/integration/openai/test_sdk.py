"""OpenAI's own SDK against a real server: generations, edits, variations, models, errors."""

import asyncio
import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from model.serving.openai.fields import BY_ROUTE, Route, Support
from tests.integration.support.requests import (
    INFER,
    PROMPT,
    SEED,
    STEPS,
    base64_of,
    body,
    opened,
    pictures,
    pixels,
    png,
)
from tests.integration.support.server import MODEL, ServerProcess

KNOBS = {"num_inference_steps": STEPS, "seed": SEED}
SAMPLE = (128, 128)


@pytest.fixture(scope="module", params=["/v1", "/openai/v1"])
def client(server: ServerProcess, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{server.base_url}{request.param}", api_key="none", max_retries=0
    ) as made:
        yield made


def files(answer: Any) -> list[bytes]:
    return [base64.b64decode(each.b64_json, validate=True) for each in answer.data]


def hole(width: int, height: int, left: int) -> bytes:
    """A mask that is opaque but for what is right of ``left``."""
    alpha = np.full((height, width), 255, np.uint8)
    alpha[:, left:] = 0
    picture = Image.new("RGBA", (width, height))
    picture.putalpha(Image.fromarray(alpha))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_generation_is_the_picture_that_v2_draws(
    client: openai.OpenAI, server: ServerProcess
) -> None:
    answer = client.images.generate(model=MODEL, prompt=PROMPT, extra_body=KNOBS)
    assert files(answer) == pictures(server.client.post(INFER, json=body()))
    assert (answer.size, answer.output_format, answer.background) == ("128x128", "png", "opaque")
    assert answer.data[0].seed == SEED
    assert answer.kiln["num_inference_steps"] == STEPS
    assert answer.created > 1_700_000_000


def test_n_size_and_format(client: openai.OpenAI) -> None:
    answer = client.images.generate(
        prompt=PROMPT, n=2, size="192x128", output_format="webp", extra_body=KNOBS
    )
    drawn = [opened(each) for each in files(answer)]
    assert [(each.size, each.format) for each in drawn] == [((192, 128), "WEBP")] * 2
    assert [each.seed for each in answer.data] == [SEED, SEED + 1]
    assert files(answer)[0] != files(answer)[1]


def test_compression_is_the_quality_of_the_encoder(client: openai.OpenAI) -> None:
    small, large = (
        client.images.generate(
            prompt=PROMPT, output_format="jpeg", output_compression=quality, extra_body=KNOBS
        )
        for quality in (10, 100)
    )
    assert len(files(small)[0]) < len(files(large)[0]) / 2


@pytest.mark.parametrize(("quality", "steps"), [("low", 4), ("medium", 8), ("hd", 12)])
def test_quality_is_the_number_of_steps(client: openai.OpenAI, quality: Any, steps: int) -> None:
    answer = client.images.generate(prompt=PROMPT, quality=quality)
    assert (answer.kiln["num_inference_steps"], answer.quality) == (steps, quality)


def test_an_edit_keeps_what_the_mask_covers(client: openai.OpenAI) -> None:
    before = png(colour=(30, 90, 200))
    answer = client.images.edit(
        image=before,
        mask=hole(*SAMPLE, left=64),
        prompt="a red apple",
        extra_body={**KNOBS, "strength": 1.0},
    )
    after, was = pixels(files(answer)[0]).astype(int), pixels(before).astype(int)
    moved = np.abs(after - was).mean(axis=(0, 2))
    assert moved[:48].mean() < 12, "kept, as well as the VAE can"
    assert moved[80:].mean() > 40, "drawn anew"


def test_an_edit_without_a_mask_draws_the_whole_picture_in_its_own_size(
    client: openai.OpenAI,
) -> None:
    answer = client.images.edit(
        image=("mine.png", png(150, 100)), prompt=PROMPT, extra_body={**KNOBS, "strength": 0.6}
    )
    width, height = opened(files(answer)[0]).size
    assert (150 - 32 < width <= 150, 100 - 32 < height <= 100) == (True, True)
    assert answer.size == f"{width}x{height}"


def test_a_variation_needs_no_prompt(client: openai.OpenAI) -> None:
    answer = client.images.create_variation(
        image=png(colour=(250, 200, 10)), n=2, extra_body={"num_inference_steps": "4", "seed": "1"}
    )
    first, second = files(answer)
    assert first != second
    assert opened(first).size == SAMPLE


@pytest.mark.parametrize(
    "image",
    [
        {"image": base64_of(png())},
        {"image": [f"data:image/png;base64,{base64_of(png())}"]},
        {"images": [{"image_url": f"data:image/png;base64,{base64_of(png())}"}]},
    ],
    ids=["base64", "data URL", "objects"],
)
def test_an_edit_as_json_is_that_of_a_form(
    server: ServerProcess, client: openai.OpenAI, image: dict[str, Any]
) -> None:
    knobs = {**KNOBS, "strength": 0.6}
    expected = client.images.edit(image=png(), prompt=PROMPT, extra_body=knobs)
    answer = server.client.post("/v1/images/edits", json={"prompt": PROMPT, **image, **knobs})
    assert answer.status_code == httpx.codes.OK, answer.text[:500]
    assert answer.json()["data"][0]["b64_json"] == expected.data[0].b64_json


def test_models(client: openai.OpenAI) -> None:
    (model,) = client.models.list()
    assert (model.id, model.object, model.owned_by) == (MODEL, "model", "kiln")
    assert client.models.retrieve(MODEL).model_dump(exclude={"name", "ready"}) == model.model_dump()


def test_an_error_is_openais_with_the_field_that_is_wrong(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.images.generate(prompt=PROMPT, size="130x128")
    error = raised.value
    assert (error.param, error.code, error.type) == (
        "size",
        "invalid_value",
        "invalid_request_error",
    )
    assert "multiple of" in error.message


def test_another_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.images.generate(prompt=PROMPT, model="dall-e-3")
    assert raised.value.code == "model_not_found"


async def test_many_at_once(server: ServerProcess) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="none") as client:
        prompts = [f"a {colour} ball" for colour in ("red", "green", "blue", "yellow")]
        answers = await asyncio.gather(
            *(client.images.generate(prompt=each, extra_body=KNOBS) for each in prompts)
        )
    assert len({files(each)[0] for each in answers}) == len(prompts)


def test_w32_before_ready_it_gets_a_503_that_its_sdk_understands(
    start_server: Any, slow_model: Any
) -> None:
    server = start_server("--model", str(slow_model), "--warmup-steps", "400")
    server.wait_live()
    with (
        openai.OpenAI(base_url=f"{server.base_url}/v1", api_key="none", max_retries=0) as client,
        pytest.raises(openai.InternalServerError) as raised,
    ):
        client.images.generate(prompt=PROMPT)
    assert (raised.value.status_code, raised.value.code) == (503, "not_ready")
    assert float(raised.value.response.headers["Retry-After"]) >= 1


def test_a_lenient_server_says_what_it_ignores(start_server: Any) -> None:
    server = start_server("--lenient", "true", "--warmup-mode", "off").wait_ready()
    asked = {"prompt": PROMPT, "style": "vivid", "moderation": "low", "sede": 3, **KNOBS}
    answer = server.client.post("/v1/images/generations", json=asked)
    assert answer.status_code == httpx.codes.OK, answer.text[:500]
    assert answer.headers["Kiln-Ignored-Fields"] == "style, moderation, sede"
    assert "user" not in answer.headers["Kiln-Ignored-Fields"]


def test_the_user_is_in_the_line_of_the_log(server: ServerProcess, client: openai.OpenAI) -> None:
    client.images.generate(prompt=PROMPT, user="x", safety_identifier="user-17", extra_body=KNOBS)
    lines = [each for each in server.events() if each.get("event") == "request"]
    assert "user-17" in [each.get("user") for each in lines if each["protocol"] == "openai"]
    assert not any(PROMPT in str(each) for each in lines)


def test_openapi_has_every_field_that_is_taken(server: ServerProcess) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    for route in Route:
        path = "/v1/videos" if route is Route.VIDEOS else f"/v1/images/{route}"
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]
        taken = {each.name for each in BY_ROUTE[route].values() if each.support is not Support.NO}
        assert set(body["schema"]["properties"]) == taken
        assert set(body["example"]) <= taken
