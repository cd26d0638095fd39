"""What crosses between stages comes out as it went in: values, order in memory, and sharing."""

from typing import Any

import pytest
import torch

from model.errors import GenerationFailed, InvalidRequest
from model.pipelines.handover import Handover, Packing, unpacked

CPU = torch.device("cpu")


def crossed(value: Any, copies: int = 1) -> tuple[Any, dict[str, torch.Tensor]]:
    packing = Packing(copies)
    facts = packing.packed("value", value)
    read = Handover.read(Handover(packing.tensors, {}).written(), {})
    return unpacked(facts, read.tensors, CPU), packing.tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.bool])
def test_w53_a_tensor_keeps_its_type_and_its_order_in_memory(dtype: torch.dtype) -> None:
    channels_innermost = torch.rand(2, 3, 4, 5).to(dtype).to(memory_format=torch.channels_last)
    found, _ = crossed(channels_innermost)
    assert torch.equal(found, channels_innermost)
    assert found.stride() == channels_innermost.stride()


def test_w53_what_a_call_returned_is_put_together_again() -> None:
    one = torch.rand(2, 2)
    found, tensors = crossed((None, [one, one], True, 0.5, (one[:1],)))
    assert found[0] is None
    assert found[2:4] == (True, 0.5)
    assert all(torch.equal(each, one) for each in found[1])
    assert torch.equal(found[4][0], one[:1])
    assert len(tensors) == 2, "the same tensor crosses once"


def test_w53_rows_that_are_repeated_for_copies_cross_once() -> None:
    rows = torch.rand(2, 3)
    found, tensors = crossed(rows.repeat_interleave(4, dim=0), copies=4)
    assert torch.equal(found, rows.repeat_interleave(4, dim=0))
    assert [len(each) for each in tensors.values()] == [2]


def test_w53_rows_that_differ_cross_all() -> None:
    """As where copies are counted through once for each prompt."""
    rows = torch.rand(2, 3).repeat(4, 1)
    found, tensors = crossed(rows, copies=4)
    assert torch.equal(found, rows)
    assert [len(each) for each in tensors.values()] == [8]


def test_w53_what_is_no_tensor_is_not_handed_over() -> None:
    with pytest.raises(GenerationFailed, match=r"value\.0 is object"):
        Packing().packed("value", [object()])


@pytest.mark.parametrize(
    "facts",
    [
        {"tensor": "other", "repeat": 1, "order": [0, 1]},
        {"tensor": "one", "repeat": 1, "order": [0, 0]},
        {"tensor": "one", "repeat": 1, "order": [1, [0]]},
        {"tensor": "one", "repeat": 1},
        {"pickle": "one"},
        ["one"],
    ],
)
def test_w53_facts_that_do_not_fit_are_refused(facts: Any) -> None:
    with pytest.raises(InvalidRequest):
        unpacked(facts, {"one": torch.rand(2, 2)}, CPU)


def test_w53_bytes_that_are_no_tensors_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="are no safetensors"):
        Handover.read(b"nothing", {})
