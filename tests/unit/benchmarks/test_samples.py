"""The arithmetic behind every number that a benchmark prints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.samples import Sample, differences, milliseconds, of_seconds, ratios


def test_the_median_does_not_follow_one_disturbance() -> None:
    assert Sample((1.0, 9000.0, 2.0), "ms").median == 2.0


def test_a_sample_shows_its_range_and_unit() -> None:
    assert str(Sample((208.94, 212.4, 230.06), "ms")) == "212.4 (208.9..230.1) ms"
    assert str(of_seconds([1.0, 1.25])) == "1.12 (1.00..1.25) s"


def test_a_single_value_has_no_range() -> None:
    assert str(of_seconds([1.5])) == "1.50 s"


def test_a_ratio_has_no_unit() -> None:
    assert str(ratios([1.0], [2.0])) == "0.500"


def test_seconds_become_milliseconds() -> None:
    assert milliseconds([0.25, 1.0]) == Sample((250.0, 1000.0), "ms")


def test_pairs_are_compared_within_their_round() -> None:
    """A slow round slows both sides: medians of each side alone would show a difference of 0."""
    raw, served = [1.0, 2.0, 3.0], [2.0, 3.0, 1.0]
    assert differences(served, raw).values == (1000.0, 1000.0, -2000.0)
    assert differences(served, raw).median == 1000.0
    assert ratios(served, raw).values == (2.0, 1.5, 1 / 3)


def test_what_has_no_partner_is_not_compared() -> None:
    with pytest.raises(ValueError, match="longer"):
        ratios([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="shorter"):
        differences([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_a_value_that_was_measured(percent: int, value: float) -> None:
    sample = Sample(tuple(float(each) for each in range(100, 0, -1)), "ms")
    assert sample.percentile(percent) == Sample((value,), "ms")


def test_the_p99_of_few_is_the_largest() -> None:
    assert Sample((3.0, 1.0, 2.0), "s").percentile(99).median == 3.0


def test_an_empty_sample_or_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Sample((), "ms")
    with pytest.raises(ValueError, match="minutes"):
        Sample((1.0,), "minutes")


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_json_keeps_every_value_and_its_order(values: list[float]) -> None:
    found = Sample(tuple(values), "s").as_json()
    assert found["values"] == values
    assert found["count"] == len(values)
    assert found["min"] <= found["median"] <= found["max"]  # type: ignore[operator]
