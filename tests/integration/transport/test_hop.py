"""The benchmark of a hop measures, and the transport adds little to what it carries."""

import pytest

from benchmarks.effort import Effort
from benchmarks.scenarios import hop
from benchmarks.subject import Subject


def test_a_hop_is_measured_beside_its_partner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hop, "MEGABYTES", (0.1, 2.0))
    effort = Effort(starts=1, pictures=1, rounds=1, quick=True)
    found = hop.measure(effort, Subject(), lambda text: None)
    assert len(found.rows) == 2 * len(hop.MEGABYTES)
    for row in found.rows:
        beside = row.samples["beside the tensors, bytes"].median
        # As many as a header and the frames of HTTP/2; compressed noise would be more or less.
        assert 0 < beside < 8192, row.subject
