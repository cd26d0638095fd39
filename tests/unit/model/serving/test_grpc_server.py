"""How long gRPC connections last."""

import pytest

from model.serving.grpc_server import renewal


@pytest.mark.parametrize("delay", [0.5, 5.0, 3600.0])
def test_c16_connections_are_renewed_twice_within_the_drain_delay(delay: float) -> None:
    """The one that is there when it begins, and the one that came before anybody took notice. gRPC
    varies the age by a tenth.
    """
    ((name, age),) = renewal(delay)
    assert name == "grpc.max_connection_age_ms"
    assert 0 < 2 * 1.1 * age <= 1000 * delay


def test_c16_without_a_drain_delay_connections_last() -> None:
    assert renewal(0.0) == ()
