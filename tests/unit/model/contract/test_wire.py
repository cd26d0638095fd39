"""The header refuses what does not hold together, and says which field it is."""

from typing import Any

import pytest
from pydantic import ValidationError

from model.contract.roles import WORKERS
from model.contract.wire import (
    READABLE_VERSIONS,
    STAGE_OF,
    WIRE_VERSION,
    Header,
    Stage,
    TensorEntry,
)


def entry(**changed: Any) -> dict[str, Any]:
    return {"name": "a", "dtype": "F32", "shape": [2, 3], "offset": 0, "size": 24, **changed}


def header(**changed: Any) -> dict[str, Any]:
    first = entry()
    second = entry(name="b", dtype="BF16", shape=[4], offset=24, size=8)
    whole = {"version": 1, "stage": "denoise", "request_id": "r", "checksum": 7, "size": 140}
    return {**whole, "tensors": [first, second], **changed}


def test_what_is_written_is_read() -> None:
    assert WIRE_VERSION in READABLE_VERSIONS
    assert set(STAGE_OF) == set(WORKERS)
    found = Header.model_validate(header(facts={"steps": 20, "guidance": 3.5, "cfg": True}))
    assert Header.model_validate_json(found.model_dump_json()) == found
    assert found.stage is Stage.DENOISE


def test_a_field_that_a_newer_sender_has_is_passed_over() -> None:
    found = Header.model_validate({**header(), "colour_space": "linear"})
    assert not hasattr(found, "colour_space")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"dtype": "C64"}, r"dtype.*'C64' is none of BOOL, U8"),
        ({"dtype": "object"}, "dtype"),
        ({"shape": [2, -3]}, "shape"),
        ({"shape": [2, 3.5]}, "shape"),
        ({"shape": [1] * 17}, "shape"),
        ({"shape": [2, 2]}, "takes 16 bytes, and size says 24"),
        ({"shape": [2**40, 2**40]}, "size says 24"),
        ({"size": -24, "shape": []}, "size"),
        ({"offset": "0"}, "offset"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
    ],
)
def test_a_tensor_that_lies_about_itself(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=f"(?s){told}"):
        TensorEntry.model_validate(entry(**changed))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"size": 31}, "31 bytes cannot hold tensors of 32"),
        ({"tensors": [entry(), entry(offset=24)]}, "a name is there twice"),
        ({"tensors": [entry(), entry(name="b", offset=20)]}, "'b' begins at 20.*ends at 24"),
        ({"tensors": [entry(), entry(name="b", offset=32)]}, "'b' begins at 32.*ends at 24"),
        ({"tensors": [entry(offset=8)]}, "'a' begins at 8.*ends at 0"),
        ({"stage": "dream"}, "stage"),
        ({"request_id": ""}, "request_id"),
        ({"checksum": 2**32}, "checksum"),
        ({"checksum": -1}, "checksum"),
        ({"facts": {"x": float("nan")}}, "NaN or infinity"),
        ({"facts": {"x": [float("inf")]}}, "NaN or infinity"),
        ({"facts": {"x": object()}}, "facts"),
        ({"version": "1"}, "version"),
    ],
)
def test_a_header_that_does_not_hold_together(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=f"(?s){told}"):
        Header.model_validate(header(**changed))
