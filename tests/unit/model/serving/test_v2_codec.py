"""From KServe's request to ours, and from a generation to KServe's answer, whatever the caller
wrote."""

import base64
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from kserve import InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput

from model.contract.generation import Generation, GenerationRequest, Sampling, Timings
from model.contract.sampling import Shape, Task
from model.errors import InvalidRequest
from model.media.encode import encode as encode_picture
from model.media.video import encode_video
from model.pipelines.parameters import BY_NAME, FORMATS
from model.serving.card import TENSOR_INPUTS
from model.serving.tensors import DATATYPES
from model.serving.v2_codec import Answer, decode, encode, settled
from model.settings import Settings

PNG = encode_picture(np.full((16, 32, 3), 99, np.uint8), "png", {})
BASE64 = base64.b64encode(PNG).decode()
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.sampled_from(["png", "16", BASE64])
NAMES = st.sampled_from([*TENSOR_INPUTS, *BY_NAME, "unknown"])
INPUTS = st.builds(
    InferInput,
    NAMES,
    st.lists(st.integers(0, 2), max_size=2),
    st.sampled_from(DATATYPES),
    st.lists(VALUES, max_size=2),
)
FREE = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def text(name: str, *elements: str) -> InferInput:
    return InferInput(name, [len(elements)], "BYTES", list(elements))


def request(*inputs: InferInput, **options: Any) -> InferRequest:
    return InferRequest("m", [text("prompt", "a fox"), *inputs], **options)


def refusal(asked: InferRequest, settings: Settings) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        decode(asked, settings)
    return caught.value


@FREE
@given(
    inputs=st.lists(INPUTS, max_size=4),
    parameters=st.dictionaries(NAMES | st.just("binary_data_output"), VALUES, max_size=3),
)
def test_any_request_is_read_or_refused(
    inputs: list[InferInput], parameters: dict[str, Any], settings: Settings
) -> None:
    try:
        ask, answer = decode(InferRequest("m", inputs, parameters=parameters), settings)
    except InvalidRequest as error:
        assert error.field  # noqa: PT017
    else:
        assert len(ask.images) <= settings.max_images
        assert answer.output_format in (None, *FORMATS)


def test_everything_is_read(settings: Settings) -> None:
    inputs = [
        text("negative_prompt", "dull"),
        text("image", BASE64),
        text("mask", BASE64),
        InferInput("seed", [1], "INT64", [7]),
    ]
    ask, answer = decode(
        request(*inputs, request_id="mine", parameters={"strength": 0.5}), settings
    )
    assert (ask.id, ask.prompts, ask.negative_prompts) == ("mine", ("a fox",), ("dull",))
    assert [each.shape for each in ask.images] == [(16, 32, 3)]
    assert [each.shape for each in ask.masks] == [(16, 32)]
    assert ask.parameters == {"strength": 0.5, "seed": 7}
    assert answer == Answer("mine", None, binary=False, from_grpc=False)


def test_pictures_and_masks_are_brought_to_one_size(settings: Settings) -> None:
    big = base64.b64encode(encode_picture(np.zeros((64, 64, 3), np.uint8), "png", {})).decode()
    ask, _ = decode(request(text("image", BASE64), text("mask", big)), settings)
    assert ask.masks[0].shape == (16, 32)
    asked = request(text("image", BASE64), text("mask", big), parameters={"width": 48})
    ask, _ = decode(asked, settings)
    assert (ask.images[0].shape, ask.masks[0].shape) == ((16, 48, 3), (16, 48))


def test_pictures_of_a_model_that_looks_at_several_keep_their_sizes(settings: Settings) -> None:
    big = base64.b64encode(encode_picture(np.zeros((64, 48, 3), np.uint8), "png", {})).decode()
    asked = request(text("image", BASE64, big), parameters={"width": 96, "height": 96})
    ask, _ = decode(asked, settings, fit=False)
    assert [each.shape for each in ask.images] == [(16, 32, 3), (64, 48, 3)]
    assert ask.parameters == {"width": 96, "height": 96}


def test_w15_a_video_comes_as_a_file_or_as_frames(settings: Settings) -> None:
    film = np.full((5, 16, 32, 3), 99, np.uint8)
    file = base64.b64encode(encode_video(film, 12.5, "")).decode()
    as_frames = InferInput("video", [5, 16, 32, 3], "UINT8", film.tolist())
    raw = InferInput("video", [5, 16, 32, 3], "UINT8")
    raw._raw_data = film.tobytes()
    for tensor, fps in ((text("video", file), 12.5), (as_frames, None), (raw, None)):
        ask, _ = decode(request(tensor), settings)
        assert np.abs(ask.videos[0].astype(int) - film).max() <= 2
        assert ask.video_fps == fps
        knobs = {"width": 48, "num_frames": "3"}
        ask, _ = decode(request(tensor, parameters=knobs), settings)
        assert ask.videos[0].shape == (3, 16, 48, 3)
        assert refusal(request(tensor), Settings(max_video_pixels=4 * 16 * 32)).field == "video"


def test_w15_a_last_picture_is_brought_to_the_size_that_is_asked_for(settings: Settings) -> None:
    big = base64.b64encode(encode_picture(np.zeros((64, 48, 3), np.uint8), "png", {})).decode()
    given = (text("image", BASE64), text("last_image", big))
    ask, _ = decode(request(*given), settings)
    assert [each.shape for each in ask.last_images] == [(64, 48, 3)], "else it is told"
    ask, _ = decode(request(*given, parameters={"width": 96, "height": 64}), settings)
    assert [each.shape for each in (*ask.images, *ask.last_images)] == [(64, 96, 3)] * 2


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (text("video", BASE64), "is not a readable MP4 video"),
        (text("video", BASE64, BASE64), "has 2 elements; one is taken"),
        (InferInput("video", [1], "FP32", [0.5]), "must be BYTES (an MP4 file) or UINT8 [frames, "),
        (InferInput("video", [12], "UINT8", [0] * 12), "must have shape [frames, height, width, 3"),
        (InferInput("video", [0, 2, 2, 3], "UINT8", []), "must have shape [frames, height, width"),
        (InferInput("video", [1, 2, 2, 3], "UINT8", [0] * 11), "has 11 elements, but shape"),
        (InferInput("video", [1, 2, 2, 3], "UINT8", [0.5] * 12), "must hold whole numbers from 0"),
        (InferInput("video", [1, 2, 2, 3], "UINT8", [256] * 12), "must hold whole numbers from 0"),
        (InferInput("video", [1, 2, 2, 3], "UINT8", [True] * 12), "must hold whole numbers from "),
    ],
)
def test_w15_what_is_no_video_is_named(given: InferInput, problem: str, settings: Settings) -> None:
    assert str(refusal(request(given), settings)).startswith(f"video: {problem}")


@pytest.mark.parametrize(
    ("flag", "outputs", "binary"),
    [
        (None, None, False),
        (True, None, True),
        (True, {}, True),
        (True, {"binary_data": False}, False),
        (False, {"binary_data": True}, True),
    ],
)
def test_binary_is_asked_for_by_request_or_output(
    settings: Settings, flag: bool | None, outputs: dict[str, bool] | None, binary: bool
) -> None:
    asked = request(
        parameters={} if flag is None else {"binary_data_output": flag},
        request_outputs=None if outputs is None else [RequestedOutput("generated_image", outputs)],
    )
    assert decode(asked, settings)[1].binary is binary


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (request(text("prompt", "again")), "prompt"),
        (request(text("depth", "a")), "depth"),
        (request(InferInput("seed", [1], "INT64", [1]), parameters={"seed": 1}), "seed"),
        (request(parameters={"binary_data_output": 1}), "binary_data_output"),
        (request(parameters={"output_format": "gif"}), "output_format"),
        (request(text("image", *[BASE64] * 17)), "image"),
        (request(text("image", BASE64), parameters={"width": 10**9, "height": 10**9}), "width"),
        (request(request_outputs=[RequestedOutput("depth", {})]), "outputs"),
        (request(request_outputs=[RequestedOutput("generated_video", {})] * 2), "outputs"),
    ],
)
def test_refusals_name_the_part(asked: InferRequest, field: str, settings: Settings) -> None:
    assert refusal(asked, settings).field == field


def generation(pictures: int) -> Generation:
    return Generation(
        id="mine",
        pixels=np.arange(pictures * 2 * 3 * 3, dtype=np.uint8).reshape(pictures, 2, 3, 3),
        seeds=tuple(range(pictures)),
        shape=Shape(Task.TEXT_TO_IMAGE, 3, 2, pictures, cfg=True),
        steps=2,
        timings=Timings(),
    )


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("pictures", [1, 3])
def test_raw_pixels_survive(pictures: int, binary: bool) -> None:
    drawn = generation(pictures)
    answer = Answer("mine", "raw", binary, from_grpc=False, output="generated_image")
    found = encode(drawn, None, answer, {}, ("m", "1"))
    (output,) = found.outputs
    assert output.name == "generated_image"
    assert (output.datatype, output.shape) == ("UINT8", [pictures, 2, 3, 3])
    assert np.array_equal(output.as_numpy(), drawn.pixels)
    assert (found.id, found.model_name, found.model_version) == ("mine", "m", "1")


@pytest.mark.parametrize("binary", [True, False])
@given(encoded=st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=3))
def test_encoded_pictures_survive(binary: bool, encoded: list[bytes]) -> None:
    answer = Answer("mine", "png", binary, from_grpc=False, output="generated_image")
    found = encode(generation(len(encoded)), encoded, answer, {}, ("m", "1"))
    (output,) = found.outputs
    assert (output.datatype, output.shape) == ("BYTES", [len(encoded)])
    data = list(output.data)
    assert (data if binary else [base64.b64decode(each) for each in data]) == encoded


def test_grpc_parameters_hold_no_floats() -> None:
    answer = Answer("mine", "png", True, from_grpc=True, output="generated_image")
    given_parameters = {"total_s": 0.5, "batch_size": 1, "cold_shape": False}
    found = encode(generation(1), [b"x"], answer, given_parameters, ("m", "1"))
    assert found.parameters == {"total_s": "0.5", "batch_size": 1, "cold_shape": False}


def wanted(task: Task, frames: int | None = None) -> GenerationRequest:
    sampling = Sampling(width=512, height=512, num_inference_steps=2, num_frames=frames)
    return GenerationRequest("mine", task, ("a fox",), sampling, seeds=(1,))


@pytest.mark.parametrize(
    ("task", "frames", "output", "chosen"),
    [
        (Task.TEXT_TO_IMAGE, None, "generated_image", "png"),
        (Task.IMAGE_TO_VIDEO, 9, "generated_video", "mp4"),
    ],
)
def test_the_answer_has_the_tasks_output_and_format(
    settings: Settings, task: Task, frames: int | None, output: str, chosen: str
) -> None:
    open_answer = Answer("mine", None, binary=False, from_grpc=False)
    found = settled(open_answer, wanted(task, frames), settings)
    assert (found.output, found.output_format) == (output, chosen)
    named = replace(open_answer, output=output)
    assert settled(named, wanted(task, frames), settings) == found


@pytest.mark.parametrize(
    ("given", "task", "field", "problem"),
    [
        ({"output": "generated_video"}, Task.TEXT_TO_IMAGE, "outputs", "but generated_image"),
        ({"output": "generated_image"}, Task.TEXT_TO_VIDEO, "outputs", "but generated_video"),
        ({"output_format": "mp4"}, Task.TEXT_TO_IMAGE, "output_format", "of pictures is one of"),
        ({"output_format": "png"}, Task.TEXT_TO_VIDEO, "output_format", "of videos is one of"),
        ({"output_format": "raw"}, Task.TEXT_TO_VIDEO, "output_format", "7077888 JSON .* for mp4"),
    ],
)
def test_what_the_task_does_not_have_is_refused_before_it_runs(
    settings: Settings, given: dict[str, str], task: Task, field: str, problem: str
) -> None:
    answer = replace(Answer("mine", None, binary=False, from_grpc=False), **given)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=problem) as caught:
        settled(answer, wanted(task, 9 if task.makes_video else None), settings)
    assert caught.value.field == field


def test_raw_frames_survive() -> None:
    frames = np.arange(2 * 5 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 5, 4, 6, 3)
    drawn = replace(generation(2), pixels=frames)
    answer = Answer("mine", "raw", True, from_grpc=False, output="generated_video")
    (output,) = encode(drawn, None, answer, {}, ("m", "1")).outputs
    assert (output.name, output.datatype, output.shape) == (
        "generated_video", "UINT8", [2, 5, 4, 6, 3]
    )  # fmt: skip
    assert np.array_equal(output.as_numpy(), frames)
