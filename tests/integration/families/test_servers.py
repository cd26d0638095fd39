"""W53: families behind a real server: an editor that also draws from a text alone, one that looks
at several pictures, a model that makes videos of a text or of pictures, and one that draws videos
anew.
"""

import asyncio
import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import av
import httpx
import kserve
import numpy as np
import pytest
from kserve.inference_client import InferenceGRPCClient
from PIL import Image

from model.media.video import encode_video
from tests.integration.families import tiny
from tests.integration.families.conftest import FRAMES, SIDE
from tests.integration.support.clients import column
from tests.integration.support.requests import base64_of, opened, png, tensor
from tests.integration.support.server import ServerProcess

KNOBS: Final = {"num_inference_steps": 2, "seed": 7}
PICTURE: Final = png(SIDE, SIDE)


def serving(folder: Path) -> Iterator[ServerProcess]:
    with ServerProcess(folder.with_name("server"), "--model", str(folder)) as running:
        yield running.wait_ready()
        assert running.terminate() == 0, running.log_tail()


@pytest.fixture(scope="module")
def editor(saved: Callable[..., Path]) -> Iterator[ServerProcess]:
    yield from serving(saved(tiny.flux_kontext, "editor"))


@pytest.fixture(scope="module")
def composer(saved: Callable[..., Path]) -> Iterator[ServerProcess]:
    yield from serving(saved(tiny.flux_2_klein, "composer"))


@pytest.fixture(scope="module")
def films(saved: Callable[..., Path]) -> Iterator[ServerProcess]:
    yield from serving(saved(tiny.ltx_condition, "films"))


@pytest.fixture(scope="module")
def redrawer(saved: Callable[..., Path]) -> Iterator[ServerProcess]:
    yield from serving(saved(tiny.wan_video_to_video, "redrawer"))


def infer(
    server: ServerProcess, *inputs: dict[str, Any], prompts: int = 1, **knobs: Any
) -> httpx.Response:
    name = server.client.get("/v2/models").json()["models"][0]
    body = {
        "inputs": [tensor("prompt", *["a red fox"] * prompts), *inputs],
        "parameters": {**KNOBS, **knobs},
    }
    return server.client.post(f"/v2/models/{name}/infer", json=body)


def one_output(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text[:500]
    (output,) = answer.json()["outputs"]
    return output


def image() -> dict[str, Any]:
    return tensor("image", base64_of(PICTURE))


def test_w53_an_editor_is_warm_for_its_own_tasks(editor: ServerProcess) -> None:
    found = editor.metadata()
    assert found["pipeline"]["family"] == "flux-1-kontext"
    assert found["pipeline"]["registered"] is True
    assert found["pipeline"]["tasks"] == ["image-to-image", "text-to-image"]
    assert all(shape["proven"] for shape in found["warmup"]["shapes"])
    assert {each["name"] for each in found["inputs"]} >= {"prompt", "image", "true_cfg_scale"}
    assert "num_frames" not in {each["name"] for each in found["inputs"]}


def test_w53_an_editor_draws_with_a_picture_and_without(editor: ServerProcess) -> None:
    drawn: dict[str, str] = {}
    for name, inputs in {"text": (), "picture": (image(),)}.items():
        output = one_output(infer(editor, *inputs))
        assert output["name"] == "generated_image"
        drawn[name] = output["data"][0]
        assert opened(base64.b64decode(drawn[name])).size == (SIDE, SIDE)
        assert one_output(infer(editor, *inputs))["data"] == output["data"], "the seed is the same"
    assert drawn["text"] != drawn["picture"]
    wide = one_output(infer(editor, image(), width=96))["data"][0]
    assert opened(base64.b64decode(wide)).size == (96, SIDE)


@pytest.mark.parametrize(
    ("inputs", "knobs", "problem"),
    [
        ((tensor("image", base64_of(png(48, 64))),), {}, "image: has 48x64 pixels; this model nee"),
        ((), {"num_frames": 9}, "num_frames: is for video models, and this one draws pictures"),
        ((), {"output_format": "mp4"}, "output_format: of pictures is one of png, jpeg, webp, a"),
    ],
)  # fmt: skip
def test_w53_what_an_editor_does_not_take_is_named(
    editor: ServerProcess, inputs: Any, knobs: dict[str, Any], problem: str
) -> None:
    answer = infer(editor, *inputs, **knobs)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(problem)


def test_w53_a_model_that_looks_at_several_pictures_sees_each_in_its_size(
    composer: ServerProcess,
) -> None:
    """Brought to the size of the output, a picture of another shape would be distorted."""
    found = composer.metadata()
    assert found["pipeline"]["tasks"] == ["text-to-image", "image-to-image"]
    assert found["pipeline"]["most_images_in"] == 10
    assert all(shape["proven"] for shape in found["warmup"]["shapes"])

    long = Image.effect_noise((160, SIDE), 90).convert("RGB")
    drawn = []
    for given in (long, long.resize((96, SIDE), Image.Resampling.LANCZOS)):
        buffer = io.BytesIO()
        given.save(buffer, "PNG")
        pictures = tensor("image", base64_of(PICTURE), base64_of(buffer.getvalue()))
        (data,) = one_output(infer(composer, pictures, width=96, height=SIDE))["data"]
        assert opened(base64.b64decode(data)).size == (96, SIDE)
        drawn.append(data)
    assert drawn[0] != drawn[1]


def test_w53_a_model_of_videos_says_so(films: ServerProcess) -> None:
    found = films.metadata()
    assert found["outputs"] == [{"name": "generated_video", "datatype": "BYTES", "shape": [-1]}]
    assert found["pipeline"]["frame_step"] == 8
    inputs = {each["name"] for each in found["inputs"]}
    assert inputs >= {"image", "last_image", "num_frames", "fps"}
    assert "video" not in inputs
    assert all(shape["proven"] for shape in found["warmup"]["shapes"])
    assert found["warmup"]["shapes"][0]["frames"] == FRAMES
    tasks = [shape["task"] for shape in found["warmup"]["shapes"]]
    assert tasks == ["text-to-video", "image-to-video", "frames-to-video"]


def frames_of(data: bytes) -> tuple[list[Any], float]:
    """The frames that a player shows, and how many a second."""
    with av.open(io.BytesIO(data)) as video:
        rate = float(video.streams.video[0].average_rate)
        return [each.to_ndarray(format="rgb24") for each in video.decode(video=0)], rate


def test_w15_a_video_between_two_frames(films: ServerProcess) -> None:
    """Each of them counts, on v2 and on v1."""
    drawn = []
    for last in (PICTURE, png(SIDE, SIDE, colour=(0, 200, 0))):
        answer = infer(films, image(), tensor("last_image", base64_of(last)))
        assert answer.json()["parameters"]["cold_shape"] is False
        drawn.append(one_output(answer)["data"][0])
        given = {"prompt": "a red fox", "image": base64_of(PICTURE), "last_image": base64_of(last)}
        body = {"instances": [{**given, **KNOBS}]}
        answer = films.client.post("/v1/models/films:predict", json=body)
        assert answer.json()["predictions"][0]["generated_video"] == [drawn[-1]]
    assert drawn[0] != drawn[1]
    assert len(frames_of(base64.b64decode(drawn[0]))[0]) == FRAMES


@pytest.mark.parametrize("pictured", [False, True], ids=["text", "picture"])
def test_w53_videos_come_as_mp4_and_as_raw_frames(films: ServerProcess, pictured: bool) -> None:
    inputs = (image(),) if pictured else ()
    answer = infer(films, *inputs, width=96, num_frames=17, fps=12.0)
    output = one_output(answer)
    assert (output["name"], output["datatype"], output["shape"]) == (
        "generated_video",
        "BYTES",
        [1],
    )
    parameters = answer.json()["parameters"]
    assert (parameters["num_frames"], parameters["fps"]) == (17, 12.0)
    assert parameters["output_format"] == "mp4"
    frames, rate = frames_of(base64.b64decode(output["data"][0]))
    assert (len(frames), rate) == (17, 12.0)

    raw = one_output(infer(films, *inputs, width=96, num_frames=17, fps=12.0, output_format="raw"))
    assert (raw["datatype"], raw["shape"]) == ("UINT8", [1, 17, SIDE, 96, 3])
    pixels = np.array(raw["data"], np.uint8).reshape(raw["shape"])[0]
    for shown, drawn in zip(frames, pixels, strict=True):
        # H.264 halves the colours' resolution, and these are noise.
        assert np.abs(shown.mean(axis=2) - drawn.mean(axis=2)).mean() < 20


def test_w53_videos_come_over_grpc(films: ServerProcess) -> None:
    prompt = kserve.InferInput("prompt", [1], "BYTES")
    prompt.set_data_from_numpy(column(["a red fox"]), binary_data=True)
    request = kserve.InferRequest("films", [prompt], parameters={**KNOBS, "fps": "12.5"})

    async def call() -> Any:
        async with InferenceGRPCClient(films.grpc_address, timeout=120, retries=0) as client:
            return await client.infer(request)

    (output,) = asyncio.run(call()).outputs
    assert output.name == "generated_video"
    frames, rate = frames_of(output.as_numpy()[0])
    assert (len(frames), rate) == (FRAMES, 12.5)
    assert frames[0].shape == (SIDE, SIDE, 3)


def test_w53_videos_come_over_v1(films: ServerProcess) -> None:
    answer = films.client.post(
        "/v1/models/films:predict", json={"instances": [{"prompt": "a red fox", **KNOBS}]}
    )
    assert answer.status_code == 200, answer.text[:500]
    (prediction,) = answer.json()["predictions"]
    assert len(frames_of(base64.b64decode(prediction["generated_video"][0]))[0]) == FRAMES


@pytest.mark.parametrize(
    ("prompts", "inputs", "knobs", "problem"),
    [
        (1, (), {"num_frames": 12}, "num_frames: must be a multiple of 8, plus 1, for this model"),
        (1, (), {"num_frames": 513}, "num_frames: 513 in all 1 videos; at most 512 are drawn"),
        (1, (), {"output_format": "png"}, "output_format: of videos is one of mp4, raw"),
        (1, (), {"strength": 0.5}, "strength: needs an image"),
        (1, (tensor("last_image", base64_of(PICTURE)),), {}, "last_image: needs an image"),
        (1, (tensor("video", "AAAA"),), {}, "video: is not a readable MP4 video"),
        (1, (image(),), {"strength": 0.5}, "strength: LTXConditionPipeline does not take it"),
        (2, (image(),), {}, "prompt: has 2 elements; this model does image-to-video for one at on"),
        (1, (tensor("image", *[base64_of(PICTURE)] * 2),), {}, "image: has 2 elements; this model"),
    ],
)  # fmt: skip
def test_w53_what_a_model_of_videos_does_not_take_is_named(
    films: ServerProcess, prompts: int, inputs: Any, knobs: dict[str, Any], problem: str
) -> None:
    answer = infer(films, *inputs, prompts=prompts, **knobs)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(problem)


FILM: Final = np.random.default_rng(2).integers(0, 256, (FRAMES, SIDE, 96, 3), np.uint8)
FILE: Final = encode_video(FILM, 12.5, "")


def as_json(film: Any) -> dict[str, Any]:
    data = film.ravel().tolist()
    return {"name": "video", "shape": list(film.shape), "datatype": "UINT8", "data": data}


def test_w15_a_model_that_draws_videos_anew_says_so(redrawer: ServerProcess) -> None:
    found = redrawer.metadata()
    inputs = {each["name"] for each in found["inputs"]}
    assert inputs >= {"video", "num_frames", "fps", "strength"}
    assert not inputs & {"image", "mask", "last_image", "num_images_per_prompt"}
    assert found["pipeline"]["tasks"] == ["video-to-video"]
    (shape,) = found["warmup"]["shapes"]
    assert (shape["task"], shape["frames"], shape["proven"]) == ("video-to-video", FRAMES, True)


def test_w15_a_video_is_drawn_anew_in_its_size_length_and_rate(redrawer: ServerProcess) -> None:
    """And so again; each video counts."""
    video = tensor("video", base64_of(FILE))
    answer = infer(redrawer, video, strength=0.5)
    parameters = answer.json()["parameters"]
    assert (parameters["num_frames"], parameters["fps"]) == (FRAMES, 12.5)
    data = one_output(answer)["data"]
    frames, rate = frames_of(base64.b64decode(data[0]))
    assert (len(frames), rate, frames[0].shape) == (FRAMES, 12.5, (SIDE, 96, 3))
    assert one_output(infer(redrawer, video, strength=0.5))["data"] == data
    other = tensor("video", base64_of(encode_video(255 - FILM, 12.5, "")))
    assert one_output(infer(redrawer, other, strength=0.5))["data"] != data


def test_w15_a_video_is_cut_resized_and_drawn_at_another_rate(redrawer: ServerProcess) -> None:
    film = as_json(FILM[:7])
    knobs = {"strength": 0.5, "num_frames": 5, "fps": 8, "width": 64, "height": 64}
    answer = infer(redrawer, film, **knobs)
    frames, rate = frames_of(base64.b64decode(one_output(answer)["data"][0]))
    assert (len(frames), rate, frames[0].shape) == (5, 8.0, (64, 64, 3))


@pytest.mark.parametrize("kind", ["frames", "file"])
def test_w15_a_video_comes_over_grpc(redrawer: ServerProcess, kind: str) -> None:
    prompt = kserve.InferInput("prompt", [1], "BYTES")
    prompt.set_data_from_numpy(column(["a red fox"]), binary_data=True)
    if kind == "frames":
        video = kserve.InferInput("video", list(FILM.shape), "UINT8")
        video.set_data_from_numpy(FILM, binary_data=True)
    else:
        video = kserve.InferInput("video", [1], "BYTES")
        video.set_data_from_numpy(np.array([FILE], np.object_), binary_data=True)
    request = kserve.InferRequest(
        "redrawer", [prompt, video], parameters={**KNOBS, "strength": "0.5"}
    )

    async def call() -> Any:
        async with InferenceGRPCClient(redrawer.grpc_address, timeout=120, retries=0) as client:
            return await client.infer(request)

    (output,) = asyncio.run(call()).outputs
    frames, rate = frames_of(output.as_numpy()[0])
    assert (len(frames), rate) == (FRAMES, 16.0 if kind == "frames" else 12.5)


@pytest.mark.parametrize(
    ("prompts", "inputs", "knobs", "problem"),
    [
        (1, (), {}, "video: is missing; this model does video-to-video"),
        (1, (image(),), {}, "image: this model does video-to-video only"),
        (1, (tensor("video", base64_of(PICTURE)),), {}, "video: is not a readable MP4 video"),
        (1, (as_json(FILM[:6]),), {}, "video: has 6 frames; this model takes a multiple of 4, plu"),
        (1, (as_json(FILM),), {"num_frames": 13}, "num_frames: is 13, and the input video has 9"),
        (2, (as_json(FILM),), {}, "prompt: has 2 elements; this model does video-to-video for one"),
        (1, (as_json(FILM),), {"num_images_per_prompt": 2}, "num_images_per_prompt: WanVideoToVi"),
        (1, (as_json(FILM),), {"width": 48}, "video: has 48x64 pixels once it is scaled; this mo"),
    ],
)  # fmt: skip
def test_w15_what_is_wrong_with_an_input_video_is_named(
    redrawer: ServerProcess, prompts: int, inputs: Any, knobs: dict[str, Any], problem: str
) -> None:
    answer = infer(redrawer, *inputs, prompts=prompts, **knobs)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(problem)
