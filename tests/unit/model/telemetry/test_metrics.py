"""The metrics: names, units, bounded labels, and the state's gauge."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import model
from model.contract.state import State
from model.telemetry.metrics import (
    OUTCOMES,
    PROTOCOLS,
    REQUEST_BUCKETS,
    STEP_BUCKETS,
    Metrics,
)

UNITS = ("_seconds", "_bytes")
LABELS = {"state", "milestone", "shape", "number", "protocol", "outcome", "stage", "kind"}
LABELS |= {"role", "direction"}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def states(metrics: Metrics) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        if family.name == "kiln_state":
            yield from ((each.labels["state"], each.value) for each in family.samples)


@pytest.mark.parametrize("state", State)
def test_exactly_one_state_is_on(metrics: Metrics, state: State) -> None:
    metrics.set_state(State.STARTING)
    metrics.set_state(state)
    found = dict(states(metrics))
    assert found.keys() == set(State)
    assert [name for name, value in found.items() if value == 1] == [state]
    assert sum(found.values()) == 1


def test_every_name_has_our_prefix_and_every_metric_its_meaning(metrics: Metrics) -> None:
    families = list(metrics.registry.collect())
    assert len(families) > 10
    for family in families:
        assert re.fullmatch(r"kiln_[a-z][a-z_]*[a-z]", family.name)
        assert family.documentation.endswith("."), family.name


def test_names_end_in_the_unit_that_the_text_speaks_of(metrics: Metrics) -> None:
    for family in metrics.registry.collect():
        if re.match(r"Seconds\b", family.documentation):
            assert family.name.endswith("_seconds"), family.name
        for unit in UNITS:
            assert unit not in family.name.removesuffix(unit), family.name


def test_labels_are_those_whose_values_we_choose(metrics: Metrics) -> None:
    """A label that a client chooses would be a series for each of its whims."""
    for family in metrics.registry.collect():
        known = getattr(metrics, _attribute(metrics, family.name))
        assert set(known._labelnames) <= LABELS


def test_two_servers_in_one_process_need_two_registries(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Metrics(metrics.registry)


@pytest.mark.parametrize("buckets", [REQUEST_BUCKETS, STEP_BUCKETS])
def test_buckets_rise(buckets: tuple[float, ...]) -> None:
    assert list(buckets) == sorted(set(buckets))


def test_requests_can_last_half_an_hour() -> None:
    assert REQUEST_BUCKETS[-1] == 1800


def test_every_outcome_is_given() -> None:
    """The outcomes that the table lists are those that requests can end in."""
    from model.serving.outcomes import OUTCOME_OF

    given = {"ok", "invalid", "failed", *(outcome for _, outcome in OUTCOME_OF)}
    assert given == set(OUTCOMES)


def test_every_outcome_of_every_protocol_begins_at_zero(metrics: Metrics) -> None:
    """An alert sees no increase in a series whose first sample is its first event."""
    for protocol in PROTOCOLS:
        for outcome in OUTCOMES:
            labels = {"protocol": protocol, "outcome": outcome}
            assert metrics.registry.get_sample_value("kiln_requests_total", labels) == 0


def test_the_protocols_are_those_that_count() -> None:
    files = (Path(model.__file__).parent / "serving").glob("*.py")
    words = [
        word
        for file in files
        for word in re.findall(r'counted\([\w.]+, "(.+?)"\)', file.read_text())
    ]
    assert sorted(words) == sorted(PROTOCOLS)


def _attribute(metrics: Metrics, name: str) -> str:
    return next(
        attribute
        for attribute, known in vars(metrics).items()
        if getattr(known, "_name", None) == name
    )
