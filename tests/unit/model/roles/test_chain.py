"""What goes from role to role, without a role: the ends of a chain."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from model.contract.generation import GenerationRequest, Sampling
from model.contract.roles import Role
from model.contract.sampling import Task
from model.contract.wire import Stage
from model.errors import BadTransfer, PayloadTooLarge
from model.roles.chain import first_payload, pixels_of, work_of
from model.transport.payload import pack
from model.transport.safetensors_index import write_index

PICTURE = np.arange(32 * 16 * 3, dtype=np.uint8).reshape(32, 16, 3)
REQUEST = GenerationRequest(
    "a", Task.IMAGE_TO_IMAGE, ("a fox",), Sampling(16, 32, 4), (7,), images=(PICTURE,), warmup=True
)


def test_the_encoder_gets_what_torch_would_have_written() -> None:
    payload = first_payload(REQUEST, "v1")
    found = safetensors.numpy.load(payload.data)
    assert np.array_equal(found["images.0"], PICTURE)
    header = payload.header
    assert (header.stage, header.revision, header.warmup) == (Stage.ENCODE, "v1", True)
    assert header.facts["made_by"] is None


def test_a_picture_in_any_layout_crosses() -> None:
    turned = replace(REQUEST, images=(np.asfortranarray(PICTURE),))
    found = safetensors.numpy.load(first_payload(turned, "v1").data)
    assert np.array_equal(found["images.0"], PICTURE)


def test_without_a_picture_there_is_no_tensor() -> None:
    payload = first_payload(replace(REQUEST, images=()), "v1")
    assert safetensors.numpy.load(payload.data) == {}


def test_an_id_longer_than_the_wire_takes_is_cut() -> None:
    assert len(first_payload(replace(REQUEST, id="x" * 256), "").header.request_id) == 200


def test_texts_that_are_too_long_together_are_told_so() -> None:
    many = replace(REQUEST, prompts=("☃" * 400_000,))
    with pytest.raises(PayloadTooLarge, match="prompt: all texts together are too long"):
        first_payload(many, "v1")


def test_the_decoders_pixels_are_found_among_others() -> None:
    shape = REQUEST.pixel_shape
    pixels = np.full(shape, 9, np.uint8)
    index = write_index([("notes", "U8", (2,), 2), ("pixels", "U8", shape, pixels.nbytes)])
    payload = pack(Stage.DECODE, "a", index + b"ab" + pixels.tobytes(), {})
    assert np.array_equal(pixels_of(payload, REQUEST), pixels)


@pytest.mark.parametrize(
    ("name", "dtype", "shape"),
    [("pixels", "U8", (1, 16, 32, 3)), ("pixels", "I8", (1, 32, 16, 3)), ("x", "U8", (1,))],
)
def test_what_is_no_picture_of_the_request_is_refused(
    name: str, dtype: str, shape: tuple[int, ...]
) -> None:
    data = bytes(int(np.prod(shape)))
    payload = pack(Stage.DECODE, "a", write_index([(name, dtype, shape, len(data))]) + data, {})
    with pytest.raises(BadTransfer, match=rf"the decoder sent {name} {dtype}"):
        pixels_of(payload, REQUEST)


def test_steps_cost_the_denoiser_alone() -> None:
    longer = replace(REQUEST, sampling=replace(REQUEST.sampling, num_inference_steps=8))
    assert work_of(longer, Role.DENOISER) == 2 * work_of(REQUEST, Role.DENOISER)
    for role in (Role.ENCODER, Role.DECODER):
        assert work_of(longer, role) == work_of(REQUEST, role)
