"""Estimates of what a request will cost."""

from typing import Any

import pytest

from model.scheduling.step_times import BEFORE_ANY, WEIGHT, StepTimes


def test_before_any_request_it_is_a_guess(request_of: Any) -> None:
    assert StepTimes().estimate(request_of("a")) == BEFORE_ANY


def test_a_known_shape_costs_its_seconds_a_step(request_of: Any, generation_of: Any) -> None:
    times = StepTimes()
    times.record(generation_of(request_of("a", steps=4), 8.0))
    assert times.estimate(request_of("b", steps=4)) == 8.0
    assert times.estimate(request_of("b", steps=10)) == 20.0


def test_an_unknown_shape_is_estimated_by_its_pixels(request_of: Any, generation_of: Any) -> None:
    times = StepTimes()
    times.record(generation_of(request_of("a", steps=4), 8.0))
    assert times.estimate(request_of("b", steps=4, width=128)) == 16.0


def test_later_times_weigh_in_smoothly(request_of: Any, generation_of: Any) -> None:
    times = StepTimes()
    request = request_of("a", steps=1)
    times.record(generation_of(request, 1.0))
    times.record(generation_of(request, 2.0))
    assert times.estimate(request) == pytest.approx(1.0 + WEIGHT)
    for _ in range(50):
        times.record(generation_of(request, 2.0))
    assert times.estimate(request) == pytest.approx(2.0)


def test_what_clients_ask_for_does_not_grow_it_without_bound(
    request_of: Any, generation_of: Any
) -> None:
    times = StepTimes()
    for side in range(1, 400):
        times.record(generation_of(request_of("a", width=16 * side), 1.0))
    assert len(times._by_shape) == 256
    assert times.estimate(request_of("a", width=16 * 399)) > 0
