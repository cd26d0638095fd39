"""W21: each engine has a GPU of its own."""

import pytest

from model.engine.placement import place


@pytest.mark.parametrize(
    ("device", "number", "gpu", "expected"),
    [
        ("auto", 0, True, "cuda:0"),
        ("auto", 1, True, "cuda:1"),
        ("auto", 1, False, "auto"),
        ("cuda", 1, True, "cuda:1"),
        ("cuda:2", 1, True, "cuda:3"),
        ("cpu", 1, True, "cpu"),
        ("mps", 0, False, "mps"),
    ],
)
def test_w21_engines_count_their_gpus_from_the_one_asked_for(
    monkeypatch: pytest.MonkeyPatch, device: str, number: int, gpu: bool, expected: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    assert place(device, number) == expected
