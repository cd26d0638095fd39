"""The operator's metrics before anything has happened."""

from controller.api.kinds import CHILDREN
from controller.metrics import RESULTS, Metrics


def test_every_result_begins_at_zero() -> None:
    """An alert sees no increase in a series whose first sample is its first event."""
    registry = Metrics().registry
    for result in RESULTS:
        found = registry.get_sample_value("kiln_operator_reconciles_total", {"result": result})
        assert found == 0


def test_every_write_begins_at_zero() -> None:
    registry = Metrics().registry
    written = [(verb, each.name) for verb in ("apply", "delete") for each in CHILDREN]
    for verb, kind in (*written, ("status", "DiffusionService")):
        labels = {"verb": verb, "kind": kind}
        assert registry.get_sample_value("kiln_operator_writes_total", labels) == 0
