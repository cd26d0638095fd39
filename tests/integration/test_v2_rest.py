"""KServe v2 over REST, once Ready: every way to ask, every form of the answer."""

import io
import itertools
import json
import struct
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.integration.support.requests import (
    INFER,
    KNOBS,
    OUTPUT,
    PROMPT,
    SEED,
    STEPS,
    base64_of,
    body,
    opened,
    pictures,
    pixels,
    png,
    tensor,
)
from tests.integration.support.server import MODEL, ServerProcess

PROMPTS = (PROMPT, "a blue car on a yellow background", "a green tree on a black background")
# The same seed in a batch and alone: the noise is equal, the arithmetic may differ in last bits.
CLOSE = 2.0
LENGTH_HEADER = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def reference(server: ServerProcess) -> bytes:
    """The picture of ``PROMPT`` and ``KNOBS``."""
    return drawn(server, body())[0]


def infer(server: ServerProcess, request: Any, **options: Any) -> httpx.Response:
    answer = server.client.post(INFER, json=request, **options)
    assert answer.status_code == httpx.codes.OK, answer.text[:1000]
    return answer


def drawn(server: ServerProcess, request: Any) -> list[bytes]:
    return pictures(infer(server, request))


def difference(one: bytes, other: bytes) -> float:
    """Mean difference of two pictures' pixels, 0 to 255."""
    return float(np.abs(pixels(one).astype(float) - pixels(other)).mean())


def parse_binary(answer: httpx.Response) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON part of a binary answer, and each output's bytes."""
    assert answer.headers["Content-Type"] == "application/octet-stream"
    length = int(answer.headers[LENGTH_HEADER])
    head = json.loads(answer.content[:length])
    sizes = [each["parameters"]["binary_data_size"] for each in head["outputs"]]
    ends = list(itertools.accumulate(sizes, initial=length))
    assert ends[-1] == len(answer.content)
    return head, [answer.content[a:b] for a, b in itertools.pairwise(ends)]


def split(data: bytes) -> list[bytes]:
    """A BYTES tensor's elements, each behind its length."""
    found = []
    while data:
        (length,) = struct.unpack_from("<I", data)
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


# -- the picture -------------------------------------------------------------------------------


def test_a_prompt_becomes_a_png(server: ServerProcess, reference: bytes) -> None:
    answer = infer(server, {**body(), "id": "mine"})
    found = answer.json()
    assert answer.headers["Content-Type"] == "application/json"
    assert (found["id"], found["model_name"]) == ("mine", MODEL)
    assert found["model_version"] == server.metadata()["versions"][0]
    picture = opened(pictures(answer)[0])
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (128, 128))
    assert pictures(answer) == [reference]
    assert pixels(reference).std() > 10, "it shows something"


def test_png_says_how_it_was_made(server: ServerProcess, reference: bytes) -> None:
    text = opened(reference).text["parameters"]
    said = dict(each.split(": ", 1) for each in text.split(", "))
    assert said == {
        "model": MODEL,
        "revision": server.metadata()["versions"][0],
        "seed": str(SEED),
        "steps": str(STEPS),
        "size": "128x128",
    }


def test_answer_parameters(server: ServerProcess) -> None:
    found = infer(server, body()).json()["parameters"]
    expected = {
        "seeds": str(SEED),
        "num_inference_steps": STEPS,
        "width": 128,
        "height": 128,
        "output_format": "png",
        "model_revision": server.metadata()["versions"][0],
        "batch_size": 1,
        "cold_shape": False,
    }
    assert {name: found[name] for name in expected} == expected
    stages = ("queue_s", "prepare_s", "denoise_s", "decode_s", "encode_s")
    assert all(found[each] >= 0 for each in stages)
    assert found["denoise_s"] > 0
    # The total holds every stage; each figure is rounded to a tenth of a millisecond.
    assert found["total_s"] >= sum(found[each] for each in stages) - 0.001


@pytest.mark.parametrize(
    ("prompts", "knobs"),
    [
        ([PROMPT], {"width": 64}),
        ([PROMPT], {"height": 160}),
        ([PROMPT, PROMPT], {}),
        ([PROMPT], {"num_images_per_prompt": 2}),
        ([PROMPT], {"guidance_scale": 1.0}),
    ],
    ids=["width", "height", "batch", "copies", "no cfg"],
)
def test_a_shape_that_no_warmup_proved_is_told_and_counted(
    server: ServerProcess, prompts: list[str], knobs: dict[str, Any]
) -> None:
    def counted() -> float:
        lines = server.client.get("/metrics").text.splitlines()
        name = "kiln_cold_shape_requests_total "
        return float(next(each for each in lines if each.startswith(name)).removeprefix(name))

    before = counted()
    answer = infer(server, body(*prompts, **knobs))
    assert answer.json()["parameters"]["cold_shape"] is True
    assert counted() == before + 1
    size = (knobs.get("width", 128), knobs.get("height", 128))
    assert {opened(each).size for each in pictures(answer)} == {size}


def test_prompts_come_back_in_order(server: ServerProcess) -> None:
    answer = infer(server, body(*PROMPTS))
    assert answer.json()["parameters"]["seeds"] == f"{SEED},{SEED + 1},{SEED + 2}"
    for number, (prompt, picture) in enumerate(zip(PROMPTS, pictures(answer), strict=True)):
        (alone,) = drawn(server, body(prompt, seed=SEED + number))
        assert difference(picture, alone) < CLOSE
        assert difference(picture, pictures(answer)[number - 1]) > CLOSE


def test_copies_of_a_prompt_stand_together(server: ServerProcess) -> None:
    answer = infer(server, body(*PROMPTS[:2], num_images_per_prompt=2))
    found = answer.json()["parameters"]
    assert (found["seeds"], found["batch_size"]) == ("7,8,9,10", 4)
    four = pictures(answer)
    for number, picture in enumerate(four):
        (alone,) = drawn(server, body(PROMPTS[number // 2], seed=SEED + number))
        assert difference(picture, alone) < CLOSE
    assert len(set(four)) == 4


def test_a_random_seed_is_told_and_can_be_used_again(server: ServerProcess) -> None:
    answers = [infer(server, body(seed=None)) for _ in range(2)]
    seeds = [each.json()["parameters"]["seeds"] for each in answers]
    assert seeds[0] != seeds[1]
    assert drawn(server, body(seed=int(seeds[0]))) == pictures(answers[0])


def test_the_largest_seed(server: ServerProcess) -> None:
    answer = infer(server, body(seed=2**63 - 1))
    assert answer.json()["parameters"]["seeds"] == str(2**63 - 1)


def test_a_negative_prompt_changes_the_picture(server: ServerProcess, reference: bytes) -> None:
    (found,) = drawn(server, body(inputs=[tensor("negative_prompt", "red")]))
    assert found != reference
    (empty,) = drawn(server, body(inputs=[tensor("negative_prompt", "")]))
    assert empty == reference, "the model's own negative prompt is the empty one"


# -- ways to say a parameter -------------------------------------------------------------------

SAME: dict[str, dict[str, Any]] = {
    "numbers as text": body(num_inference_steps=str(STEPS), seed=str(SEED), guidance_scale="2.0"),
    "whole floats": body(num_inference_steps=float(STEPS), seed=float(SEED), guidance_scale=2),
    "defaults said": body(width=128, height=128, num_images_per_prompt=1, output_format="png"),
    "one-element tensors": body(
        num_inference_steps=None,
        seed=None,
        inputs=[
            tensor("num_inference_steps", STEPS, datatype="INT32"),
            {**tensor("seed", SEED, datatype="UINT64"), "shape": [1, 1]},
            {**tensor("guidance_scale", 2.0, datatype="FP32"), "shape": []},
            tensor("output_format", "png"),
            tensor("deterministic", True, datatype="BOOL"),
        ],
    ),
    "text tensors": body(
        seed=None, inputs=[tensor("seed", str(SEED)), tensor("guidance_scale", "2")]
    ),
    "column": {**body(), "inputs": [{**tensor("prompt", PROMPT), "shape": [1, 1]}]},
    "nested data": {**body(), "inputs": [{**tensor("prompt", [PROMPT]), "shape": [1, 1]}]},
    "control parameters": body(priority=5, timeout_s=100, deterministic=True),
    "output named": {**body(), "outputs": [{"name": OUTPUT}]},
    "null parts": {**body(), "id": None, "outputs": None},
}


@pytest.mark.parametrize("request_body", SAME.values(), ids=SAME)
def test_each_way_to_say_it_means_the_same(
    server: ServerProcess, reference: bytes, request_body: dict[str, Any]
) -> None:
    assert drawn(server, request_body) == [reference]


# -- the binary extension ----------------------------------------------------------------------


def binary_outputs(flag: bool) -> dict[str, Any]:
    return {"outputs": [{"name": OUTPUT, "parameters": {"binary_data": flag}}]}


@pytest.mark.parametrize(
    "request_body",
    [
        body(binary_data_output=True),
        {**body(), **binary_outputs(True)},
        {**body(binary_data_output=False), **binary_outputs(True)},
    ],
    ids=["for the request", "for the output", "the output has the last word"],
)
def test_binary_answer(
    server: ServerProcess, reference: bytes, request_body: dict[str, Any]
) -> None:
    head, (data,) = parse_binary(infer(server, request_body))
    assert split(data) == [reference]
    (output,) = head["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == (OUTPUT, "BYTES", [1])
    assert "data" not in output


def test_one_output_may_stay_json_in_a_binary_request(
    server: ServerProcess, reference: bytes
) -> None:
    request = {**body(binary_data_output=True), **binary_outputs(False)}
    assert drawn(server, request) == [reference]


@pytest.mark.parametrize("content_type", ["application/octet-stream", "application/json"])
def test_binary_request(server: ServerProcess, reference: bytes, content_type: str) -> None:
    """Prompt, picture and knob behind the JSON, in the order of the inputs."""
    knob = struct.pack("<q", SEED)
    elements = [PROMPT.encode(), png()]
    prompt, picture = [struct.pack("<I", len(each)) + each for each in elements]
    inputs = [
        {"name": name, "shape": [1], "datatype": kind, "parameters": {"binary_data_size": size}}
        for name, kind, size in (
            ("prompt", "BYTES", len(prompt)),
            ("seed", "INT64", len(knob)),
            ("image", "BYTES", len(picture)),
        )
    ]
    head = json.dumps(
        {"inputs": inputs, "parameters": {"num_inference_steps": STEPS, "strength": 0.5}}
    ).encode()
    answer = server.client.post(
        INFER,
        content=head + prompt + knob + picture,
        headers={LENGTH_HEADER: str(len(head)), "Content-Type": content_type},
    )
    as_json = body(inputs=[tensor("image", base64_of(png()))], strength=0.5)
    assert pictures(answer) == drawn(server, as_json)


# -- formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("output_format", "most"), [("jpeg", 6.0), ("webp", 6.0), ("avif", 6.0)])
def test_encoded_formats(
    server: ServerProcess, reference: bytes, output_format: str, most: float
) -> None:
    answer = infer(server, body(output_format=output_format))
    (found,) = pictures(answer)
    assert opened(found).format == output_format.upper()
    assert answer.json()["parameters"]["output_format"] == output_format
    assert 0 < difference(found, reference) < most


def test_raw_as_json_numbers(server: ServerProcess, reference: bytes) -> None:
    (output,) = infer(server, body(output_format="raw")).json()["outputs"]
    assert (output["name"], output["datatype"]) == (OUTPUT, "UINT8")
    assert output["shape"] == [1, 128, 128, 3]
    found = np.array(output["data"], np.uint8).reshape(output["shape"])
    assert np.array_equal(found[0], pixels(reference))


def test_raw_as_binary(server: ServerProcess) -> None:
    request = body(*PROMPTS[:2], width=64, output_format="raw", binary_data_output=True)
    head, (data,) = parse_binary(infer(server, request))
    assert head["outputs"][0]["shape"] == [2, 128, 64, 3]
    found = np.frombuffer(data, np.uint8).reshape(2, 128, 64, 3)
    as_png = drawn(server, body(*PROMPTS[:2], width=64))
    assert np.array_equal(found, np.stack([pixels(each) for each in as_png]))


def test_raw_as_json_is_refused_by_the_million(server: ServerProcess) -> None:
    request = body(width=1024, height=512, output_format="raw")
    answer = server.client.post(INFER, json=request)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert "binary_data_output" in answer.json()["error"]


# -- pictures in -------------------------------------------------------------------------------


def test_image_to_image_follows_its_strength(server: ServerProcess, reference: bytes) -> None:
    """The less is drawn anew, the nearer to the picture that came in."""
    source = tensor("image", base64_of(reference))
    prompt = "a blue car on a yellow background"
    distances = [
        difference(drawn(server, body(prompt, inputs=[source], num_inference_steps=8,
                                      strength=strength))[0], reference)
        for strength in (0.25, 1.0)
    ]  # fmt: skip
    assert distances[0] < distances[1]


def test_image_to_image_takes_the_size_of_its_picture(server: ServerProcess) -> None:
    source = tensor("image", base64_of(png(64, 96)))
    assert opened(drawn(server, body(inputs=[source]))[0]).size == (64, 96)
    sized = body(inputs=[source], width=96, height=64)
    assert opened(drawn(server, sized)[0]).size == (96, 64)


def test_one_image_serves_all_prompts(server: ServerProcess) -> None:
    one = drawn(server, body(*PROMPTS, inputs=[tensor("image", base64_of(png()))]))
    each = drawn(server, body(*PROMPTS, inputs=[tensor("image", *[base64_of(png())] * 3)]))
    assert one == each
    assert len(set(one)) == 3


def test_inpainting_keeps_what_is_black_in_the_mask(
    server: ServerProcess, reference: bytes
) -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[:, 64:] = 255
    inputs = [tensor("image", base64_of(reference)), tensor("mask", base64_of(_as_png(mask)))]
    knobs = {"num_inference_steps": 8, "strength": 1.0}
    (found,) = drawn(server, body("a blue car on a yellow background", inputs=inputs, **knobs))
    change = np.abs(pixels(found).astype(float) - pixels(reference)).mean(axis=(0, 2))
    kept, redrawn = change[:56].mean(), change[72:].mean()
    assert kept < redrawn / 2


def _as_png(array: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


# -- metadata ----------------------------------------------------------------------------------


def test_server_metadata(server: ServerProcess) -> None:
    found = server.client.get("/v2").json()
    assert found["name"] == "kiln"
    assert found["extensions"] == ["binary_tensor_data"]
    assert server.client.get("/v2/models").json() == {"models": [MODEL]}


def test_metadata_outputs_are_true(server: ServerProcess) -> None:
    listed = server.metadata()["outputs"]
    given = infer(server, body()).json()["outputs"]
    assert [(each["name"], each["datatype"]) for each in listed] == [
        (each["name"], each["datatype"]) for each in given
    ]


EXAMPLES: dict[str, Any] = {
    "prompt": PROMPT,
    "negative_prompt": "red",
    "image": base64_of(png()),
    "mask": base64_of(png(colour="white")),
    "num_inference_steps": STEPS,
    "guidance_scale": 2.0,
    "true_cfg_scale": 2.0,
    "height": 64,
    "width": 64,
    "seed": 3,
    "num_images_per_prompt": 2,
    "strength": 0.5,
    "max_sequence_length": 64,
    "output_format": "webp",
    "timeout_s": 60.0,
    "priority": 1,
    "deterministic": True,
}
NEEDS_IMAGE = ("mask", "strength")


def test_metadata_inputs_are_true(server: ServerProcess) -> None:
    """Everything that is listed is taken, as a tensor of the datatype that is listed; everything
    that is taken is listed."""
    listed = {each["name"]: each for each in server.metadata()["inputs"]}
    assert set(listed) <= set(EXAMPLES)
    for name, value in EXAMPLES.items():
        datatype = listed[name]["datatype"] if name in listed else "BYTES"
        inputs = {"prompt": tensor("prompt", PROMPT), name: tensor(name, value, datatype=datatype)}
        if name in NEEDS_IMAGE:
            inputs["image"] = tensor("image", EXAMPLES["image"])
        parameters = {key: value for key, value in KNOBS.items() if key not in inputs}
        request = {"inputs": list(inputs.values()), "parameters": parameters}
        answer = server.client.post(INFER, json=request)
        assert answer.is_success == (name in listed), f"{name}: {answer.text[:300]}"


def test_W10_W11_W12_W13_W14_metadata_tells_the_defaults_and_what_was_warmed(
    server: ServerProcess,
) -> None:
    found = server.metadata()
    defaults = found["defaults"]
    assert (defaults["width"], defaults["height"]) == (128, 128)
    assert defaults["num_inference_steps"] == 8
    assert defaults["guidance_scale"] == 2.0
    assert defaults["negative_prompt"] == ""
    assert set(defaults["sources"].values()) == {"model folder"}
    assert set(defaults["sources"]) == {
        name for name, value in defaults.items() if value is not None and name != "sources"
    }
    (shape,) = found["warmup"]["shapes"]
    assert shape["task"] == "text-to-image"
    assert (shape["width"], shape["height"], shape["batch"]) == (128, 128, 1)
    assert shape["steps"] == 2
    assert shape["cfg"] is True
    assert shape["proven"] is True


def test_W22_every_pass_is_in_the_report(server: ServerProcess) -> None:
    report = server.metadata()["warmup"]
    (shape,) = report["shapes"]
    passes = shape["passes"]
    assert (report["mode"], report["done"], report["of"]) == ("server", 1, 1)
    assert 2 <= len(passes) <= 4
    assert shape["compiles"][-1] == 0
    assert shape["first_over_steady"] == pytest.approx(passes[0] / passes[-1], rel=0.01)
    steady = abs(passes[-1] - passes[-2]) <= max(0.1 * passes[-2], 0.005)
    assert shape["settled"] == steady


def test_timeline_is_in_order(server: ServerProcess) -> None:
    timeline = server.metadata()["timeline"]
    assert list(timeline) == ["live", "loaded", "warm", "ready"]
    assert list(timeline.values()) == sorted(timeline.values())


# -- documentation -----------------------------------------------------------------------------


def test_openapi_names_the_public_paths(server: ServerProcess) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models",
        "/v2/models/{name}",
        "/v2/models/{name}/ready",
        "/v2/models/{name}/infer",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/models/{name}:predict",
        "/v1/images/generations",
        "/v1/images/edits",
        "/v1/images/variations",
        "/v1/videos",
        "/v1/videos/{video_id}",
        "/v1/videos/{video_id}/content",
    }


def test_the_documented_example_works(server: ServerProcess) -> None:
    described = server.client.get("/openapi.json").json()
    operation = described["paths"]["/v2/models/{name}/infer"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert opened(drawn(server, example)[0]).size == (128, 128)
