"""Durations."""

import pytest

from controller.api.base import seconds


@pytest.mark.parametrize(
    ("written", "found"), [("0s", 0), ("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1h1m1s", 3661)]
)
def test_durations_are_seconds(written: str, found: int) -> None:
    assert seconds(written) == found
