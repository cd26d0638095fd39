"""Torch's side of the wire: what the engine writes, the API process can read, and the reverse."""

import pytest
import torch

from model.contract.wire import ELEMENT_BYTES, Stage
from model.engine.stage_tensors import from_bytes, to_bytes
from model.errors import GenerationFailed
from model.transport.payload import pack
from model.transport.safetensors_index import write_index

DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}


@pytest.mark.parametrize(("dtype", "name"), DTYPES.items(), ids=str)
def test_every_type_passes_bit_for_bit(dtype: torch.dtype, name: str) -> None:
    sent = torch.arange(24).reshape(2, 3, 4).to(dtype)
    data = to_bytes({"x": sent})
    (entry,) = pack(Stage.DENOISE, "r", data, {}).header.tensors
    assert (entry.dtype, entry.shape) == (name, (2, 3, 4))
    assert entry.size == 24 * ELEMENT_BYTES[name]
    found = from_bytes(data)["x"]
    assert found.dtype == dtype
    assert torch.equal(found.view(torch.uint8), sent.view(torch.uint8))


def test_nan_and_infinity_pass() -> None:
    """Whether they may is for the stages to say."""
    sent = torch.tensor([float("nan"), float("inf"), -0.0], dtype=torch.bfloat16)
    found = from_bytes(to_bytes({"x": sent}))["x"]
    assert torch.equal(found.view(torch.int16), sent.view(torch.int16))


def test_views_transposed_shared_scalar_and_empty_tensors() -> None:
    base = torch.arange(1000.0).reshape(10, 100)
    sent = {
        "row": base[3],
        "turned": base.T,
        "base": base,
        "again": base,
        "scalar": torch.tensor(7),
        "empty": torch.empty(0, 4),
        "stepped": base[::2, ::3],
        "learned": torch.ones(2, requires_grad=True),
    }
    found = from_bytes(to_bytes(sent))
    assert set(found) == set(sent)
    assert all(torch.equal(found[name], sent[name]) for name in sent)


def test_a_view_does_not_bring_what_it_views() -> None:
    assert len(to_bytes({"x": torch.zeros(1_000_000)[:4]})) < 200


def test_what_the_api_process_writes_is_read() -> None:
    data = write_index([("a", "BF16", (2,), 4), ("b", "U8", (3,), 3)]) + b"\x80?\x00@abc"
    found = from_bytes(data)
    assert found["a"].tolist() == [1.0, 2.0]
    assert bytes(found["b"].tolist()) == b"abc"


def test_a_type_without_a_name_and_bytes_that_are_none() -> None:
    with pytest.raises(GenerationFailed, match="cannot be sent"):
        to_bytes({"x": torch.zeros(2, dtype=torch.complex128)})
    with pytest.raises(GenerationFailed, match="cannot be read"):
        from_bytes(b"{}")
