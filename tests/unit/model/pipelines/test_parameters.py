"""Request parameters: every kind, every bound, and numbers that come as text."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import InvalidRequest
from model.pipelines.parameters import (
    BY_NAME,
    FORMATS,
    LARGEST_SEED,
    PARAMETERS,
    parse_parameters,
)

INTEGERS = [each for each in PARAMETERS if each.kind is int]
REALS = [each for each in PARAMETERS if each.kind is float]
TRUTHS = [each for each in PARAMETERS if each.kind is bool]
JUNK = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
    st.binary(max_size=4),
)


@given(st.dictionaries(st.sampled_from(sorted(BY_NAME)), JUNK))
def test_anything_is_either_parsed_into_its_kind_or_refused_by_name(raw: dict[str, Any]) -> None:
    for name, value in raw.items():
        known = BY_NAME[name]
        try:
            parsed = parse_parameters({name: value})[name]
        except InvalidRequest as error:
            problem = str(error)
        else:
            problem = ""
            assert type(parsed) is known.kind
            assert known.low is None or parsed >= known.low
            assert known.high is None or parsed <= known.high
            assert not known.choices or parsed in known.choices
        assert not problem or problem.startswith(f"{name}: must be")


@given(st.sampled_from(INTEGERS), st.integers(1, 100))
def test_a_whole_number_means_the_same_in_every_writing(known: Any, number: int) -> None:
    for written in (number, float(number), str(number), f"{number}.0", f" {number} "):
        assert known.parse(written) == number


@given(st.integers(0, LARGEST_SEED))
def test_a_seed_keeps_every_bit(seed: int) -> None:
    """Seeds above 2**53 do not fit into a float."""
    assert BY_NAME["seed"].parse(seed) == BY_NAME["seed"].parse(str(seed)) == seed


@given(st.floats(0, 1))
def test_a_real_number_survives_as_text(number: float) -> None:
    parsed = BY_NAME["strength"].parse(repr(number))
    assert struct.pack("d", parsed) == struct.pack("d", number)


@pytest.mark.parametrize("known", INTEGERS + REALS, ids=lambda each: each.name)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "nan", "inf", "1e999", "-inf"])
def test_no_number_is_infinite(known: Any, value: Any) -> None:
    with pytest.raises(InvalidRequest, match="must be a finite number"):
        known.parse(value)


@pytest.mark.parametrize("known", INTEGERS + REALS, ids=lambda each: each.name)
@pytest.mark.parametrize("value", [True, False, None, [1], {}, "", "one", "0x10", b"1"])
def test_no_number_is_something_else(known: Any, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"{known.name}: must be a number"):
        known.parse(value)


@pytest.mark.parametrize("known", INTEGERS, ids=lambda each: each.name)
@pytest.mark.parametrize("value", [1.5, "1.5", "1e-3"])
def test_fractions_are_refused_where_whole_numbers_are_meant(known: Any, value: Any) -> None:
    with pytest.raises(InvalidRequest, match="must be a whole number"):
        known.parse(value)


@pytest.mark.parametrize("known", [each for each in PARAMETERS if each.low is not None],
                         ids=lambda each: each.name)  # fmt: skip
def test_the_lower_bound_is_inclusive(known: Any) -> None:
    assert known.parse(known.low) == known.low
    with pytest.raises(InvalidRequest, match=rf"{known.name}: must be at least {known.low:g}"):
        known.parse(known.low - 1)


@pytest.mark.parametrize("known", [each for each in PARAMETERS if each.high is not None],
                         ids=lambda each: each.name)  # fmt: skip
def test_the_upper_bound_is_inclusive(known: Any) -> None:
    assert known.parse(known.high) == known.high
    with pytest.raises(InvalidRequest, match=f"{known.name}: must be at most"):
        known.parse(known.high + 1)


@pytest.mark.parametrize("known", TRUTHS, ids=lambda each: each.name)
def test_truths_may_be_text(known: Any) -> None:
    assert [known.parse(each) for each in (True, "true", "TRUE")] == [True] * 3
    assert [known.parse(each) for each in (False, "false", "False")] == [False] * 3
    for value in (1, 0, "1", "yes", "", None):
        with pytest.raises(InvalidRequest, match="must be true or false"):
            known.parse(value)


@pytest.mark.parametrize("value", ["gif", "PNG", "", "MP4"])
def test_only_the_formats_that_we_write(value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"output_format: must be one of {', '.join(FORMATS)}"):
        parse_parameters({"output_format": value})


def test_a_name_that_is_no_parameter_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidRequest, match="stepz: is not a parameter; known are num_inference"):
        parse_parameters({"stepz": 3})


def test_a_long_unknown_name_is_not_echoed_in_full() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_parameters({"x" * 10_000: 3})
    assert "x" * 101 not in str(refused.value)


def test_every_parameter_has_a_tensor_type() -> None:
    assert {each.datatype for each in PARAMETERS} <= {"INT64", "FP32", "BOOL", "BYTES"}
