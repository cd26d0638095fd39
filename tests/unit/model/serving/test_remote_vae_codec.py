"""What a remote VAE's request may say, and what its answers are made of."""

import json
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidRequest
from model.serving import remote_vae_codec as codec
from model.transport.protocol import StageResult
from model.transport.safetensors_index import read_index, write_index

QUERY = {"dtype": "float32", "image_format": "png", "output_type": "pil"}
SHAPE = ["1", "4", "8", "8"]
BOUNDS = codec.Bounds(pictures=2, frames=6, pixels=4096)


def a_result(values: Any, dtype: str = "F32") -> StageResult:
    data = values.tobytes()
    return StageResult(write_index([("decoded", dtype, values.shape, len(data))]) + data, {})


def test_the_latents_become_a_stage() -> None:
    asked = codec.read({**QUERY, "scaling_factor": "0.5", "shift_factor": "-1"}, SHAPE, BOUNDS)
    payload = asked.payload(bytes(1024))
    (entry,) = read_index(payload.data)
    assert (entry.name, entry.dtype, entry.shape) == ("latents", "F32", (1, 4, 8, 8))
    assert payload.header.stage == "decode"
    assert payload.header.facts == {
        "remote_vae": {
            "own_scaling": False, "scaling_factor": 0.5, "shift_factor": -1.0, "height": None,
            "width": None, "most_pixels": 4096,
        }
    }  # fmt: skip


def test_a_flag_is_written_as_python_writes_it() -> None:
    assert codec.read({**QUERY, "do_scaling": "True"}, SHAPE, BOUNDS).bare.own_scaling
    assert not codec.read({**QUERY, "do_scaling": "False"}, SHAPE, BOUNDS).bare.own_scaling
    assert codec.read({**QUERY, "partial_postprocess": "True"}, SHAPE, BOUNDS).partial_postprocess


@pytest.mark.parametrize(
    ("query", "shape", "field"),
    [
        ({"dtype": "int8"}, SHAPE, "dtype"),
        ({"image_format": "gif"}, SHAPE, "image_format"),
        ({"output_type": "mp4"}, SHAPE, "output_type: must be one of pil, pt"),
        ({"partial_postprocess": "maybe"}, SHAPE, "partial_postprocess"),
        ({"scaling_factor": "nan"}, SHAPE, "scaling_factor"),
        ({"scaling_factor": "0"}, SHAPE, "scaling_factor"),
        ({"shift_factor": "x"}, SHAPE, "shift_factor"),
        ({"height": "-8"}, SHAPE, "height"),
        ({"width": "1e3"}, SHAPE, "width"),
        ({}, [], "shape"),
        ({}, ["8", "8"], "shape"),
        ({}, ["1"] * 6, "shape"),
        ({}, ["1", "4", "0", "8"], "shape"),
        ({}, ["1", "4", "x", "8"], "shape"),
        ({}, ["1", "64", "64"], "height, width: are needed for packed"),
        ({"height": "8"}, ["1", "64", "64"], "height, width"),
        ({}, ["3", "4", "8", "8"], "shape: is of 3 pictures; at most 2"),
        ({}, ["2", "4", "4", "8", "8"], "shape: is of 8 frames; at most 6"),
    ],
)
def test_what_is_wrong_is_named(query: dict[str, str], shape: list[str], field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}"):
        codec.read({**QUERY, **query}, shape, BOUNDS)


def test_packed_latents_with_a_size() -> None:
    found = codec.read({**QUERY, "height": "64", "width": "32"}, ["1", "16", "64"], BOUNDS)
    assert (found.bare.height, found.bare.width) == (64, 32)


@pytest.mark.parametrize("size", [0, 1023, 1025])
def test_a_body_of_another_size(size: int) -> None:
    with pytest.raises(InvalidRequest, match=rf"body: has {size} bytes, .* are 1024"):
        codec.read(QUERY, SHAPE, BOUNDS).payload(bytes(size))


VALUES = np.array([-2, -1, 0, 0.5, 1, 3] * 2, np.float32).reshape(1, 3, 2, 2)
DRAWN = [0, 0, 128, 191, 255, 255] * 2


def test_pictures_are_bytes_of_what_lies_between_minus_one_and_one() -> None:
    found = codec.pictures(a_result(VALUES))
    assert found.shape == (1, 2, 2, 3)
    assert found.transpose(0, 3, 1, 2).ravel().tolist() == DRAWN
    whole = codec.fractions(a_result(VALUES))
    assert (whole.dtype, whole.shape) == ("float32", (1, 3, 2, 2))
    assert np.frombuffer(whole.data, np.float32).tolist() == [0, 0, 0.5, 0.75, 1, 1] * 2


def test_bfloat16_is_read_without_a_library_that_has_it() -> None:
    halves = (VALUES.view(np.uint32) >> 16).astype(np.uint16)
    result = a_result(halves, "BF16")
    assert codec.pictures(result).transpose(0, 3, 1, 2).ravel().tolist() == DRAWN
    assert codec.raw(result).headers == {"shape": json.dumps([1, 3, 2, 2]), "dtype": "bfloat16"}
    assert codec.raw(result).data == halves.tobytes()


def test_float16_too() -> None:
    result = a_result(VALUES.astype(np.float16), "F16")
    assert codec.pictures(result).transpose(0, 3, 1, 2).ravel().tolist() == DRAWN


def test_a_video_is_its_frames() -> None:
    frames = np.stack([np.full((3, 2, 4), value) for value in (-1, 0, 1)], axis=1)[None]
    found = codec.pictures(a_result(frames.astype(np.float32)))
    assert found.shape == (3, 2, 4, 3)
    assert found[:, 0, 0, 0].tolist() == [0, 128, 255]
