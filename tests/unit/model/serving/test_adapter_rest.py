"""W42: which body names which adapter, and that every mistake is named."""

from typing import Any

import orjson
import pytest

from model.contract.adapter import Adapter
from model.errors import InvalidRequest
from model.serving.adapter_rest import read_adapter

DECLARED = ["style", "line-art"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"lora": "style"}, Adapter("style", 1.0)),
        ({"lora": "line-art", "scale": 2}, Adapter("line-art", 2.0)),
        ({"lora": "style", "scale": -0.5}, Adapter("style", -0.5)),
        ({"lora": None}, None),
        ({"lora": None, "scale": 0.5}, None),
    ],
)
def test_w42_a_declared_adapter_is_chosen_by_name(body: Any, expected: Adapter | None) -> None:
    assert read_adapter(orjson.dumps(body), DECLARED) == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "body: is not JSON"),
        (b"[]", "lora: is missing"),
        (b"{}", "lora: is missing"),
        (b'{"lora": "other"}', "lora: is not declared; declared are style, line-art"),
        (b'{"lora": "/etc/passwd"}', "lora: is not declared"),
        (b'{"lora": 1}', "lora: is not declared"),
        (b'{"lora": ["style"]}', "lora: is not declared"),
        (b'{"lora": "style", "scale": "1"}', "scale: must be a finite number"),
        (b'{"lora": "style", "scale": true}', "scale: must be a finite number"),
        (b'{"lora": "style", "scale": null}', "scale: must be a finite number"),
        (b'{"lora": "style", "scale": 1e9}', "scale: must be from -100 to 100"),
        (b'{"lora": "style", "weight": 1}', "weight: is unknown; known are lora, scale"),
    ],
)
def test_w42_a_mistake_is_named(body: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_adapter(body, DECLARED)
