"""``stream`` by OpenAI's own SDK against a real server: the pictures on the way, the last one, and
what becomes of a client that goes away.
"""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from tests.integration.support.requests import PROMPT, SEED, opened, pixels, png
from tests.integration.support.server import ServerProcess, wait_until

STEPS = 8
KNOBS = {"num_inference_steps": STEPS, "seed": SEED}
LONG = {"num_inference_steps": 400, "seed": SEED}


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.base_url}/v1", api_key="none", max_retries=0) as made:
        yield made


def picture(event: Any) -> bytes:
    return base64.b64decode(event.b64_json, validate=True)


def difference(one: bytes, other: bytes) -> float:
    return float(np.abs(pixels(one).astype(int) - pixels(other)).mean())


def test_partial_images_come_nearer_to_the_last_which_is_the_unstreamed_one(
    client: openai.OpenAI,
) -> None:
    whole = client.images.generate(prompt=PROMPT, extra_body=KNOBS)
    *shown, last = client.images.generate(
        prompt=PROMPT, stream=True, partial_images=3, extra_body=KNOBS
    )
    assert [each.type for each in shown] == ["image_generation.partial_image"] * 3
    assert [each.partial_image_index for each in shown] == [0, 1, 2]
    assert last.type == "image_generation.completed"
    assert last.b64_json == whole.data[0].b64_json, "byte for byte"
    assert (last.seed, last.kiln["num_inference_steps"]) == (SEED, STEPS)
    usage = last.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (0, 0, 0)
    for each in (*shown, last):
        assert (each.size, each.output_format, each.quality) == ("128x128", "png", "auto")
        assert (each.background, opened(picture(each)).size) == ("opaque", (128, 128))
        assert each.created_at > 1_700_000_000
    far = [difference(picture(each), picture(last)) for each in shown]
    assert far == sorted(far, reverse=True)
    assert 0 < far[-1] < 12, "a picture already, and not yet the last one"
    assert "step: 6 of 8" in opened(picture(shown[-1])).info["parameters"]


def test_an_edit_streams_by_its_own_events(client: openai.OpenAI) -> None:
    knobs = {**KNOBS, "strength": 0.6}
    whole = client.images.edit(image=png(), prompt=PROMPT, extra_body=knobs)
    events = client.images.edit(
        image=png(),
        prompt=PROMPT,
        stream=True,
        partial_images=2,
        output_format="webp",
        extra_body=knobs,
    )
    *shown, last = events
    assert [each.type for each in shown] == ["image_edit.partial_image"] * 2
    assert last.type == "image_edit.completed"
    assert [opened(picture(each)).format for each in (*shown, last)] == ["WEBP"] * 3
    assert difference(picture(last), base64.b64decode(whole.data[0].b64_json)) < 4


async def test_a_stream_without_partial_images_is_one_event(server: ServerProcess) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key="none") as client:
        events = await client.images.generate(
            prompt=PROMPT, stream=True, user="user-18", extra_body=KNOBS
        )
        (last,) = [each async for each in events]
    assert (last.type, last.safety_identifier) == ("image_generation.completed", "user-18")


def test_it_is_sent_as_server_sent_events(server: ServerProcess) -> None:
    asked = {"prompt": PROMPT, "stream": True, "partial_images": 1, **KNOBS}
    answer = server.client.post("/v1/images/generations", json=asked)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    events = answer.text.removesuffix("\n\n").split("\n\n")
    assert [each.partition("\n")[0] for each in events] == [
        "event: image_generation.partial_image",
        "event: image_generation.completed",
    ]


def test_who_goes_away_stops_the_engine_at_its_next_step(server: ServerProcess) -> None:
    asked = {"prompt": PROMPT, "stream": True, "partial_images": 3, **LONG}
    with server.client.stream("POST", "/v1/images/generations", json=asked) as answer:
        assert answer.status_code == httpx.codes.OK
        assert next(answer.iter_lines()) == "event: image_generation.partial_image"

    def cancelled() -> bool:
        lines = [each for each in server.events("request") if each["protocol"] == "openai"]
        return lines[-1]["outcome"] == "cancelled"

    wait_until(cancelled, "the request counts as cancelled", 10)


def test_what_goes_wrong_before_the_first_event_has_its_status(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        client.images.generate(
            prompt=PROMPT, stream=True, partial_images=1, extra_body={**LONG, "timeout_s": 0.01}
        )
    assert (raised.value.status_code, raised.value.code) == (504, "deadline_exceeded")


def test_what_goes_wrong_later_is_an_event_that_the_sdk_raises(start_server: Any) -> None:
    server = start_server("--warmup-mode", "off").wait_ready()
    with openai.OpenAI(base_url=f"{server.base_url}/v1", api_key="none", max_retries=0) as client:
        events = client.images.generate(
            prompt=PROMPT, stream=True, partial_images=3, extra_body=LONG
        )
        assert next(iter(events)).type == "image_generation.partial_image"
        server.engine().kill()
        with pytest.raises(openai.APIError) as raised:
            list(events)
    assert raised.value.code == "engine_lost"
    assert server.wait_exit() != 0
