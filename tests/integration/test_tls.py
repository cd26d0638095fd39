"""One certificate and key serve both ports, and neither speaks in the clear."""

import ssl
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.integration.support.certificates import self_signed
from tests.integration.support.requests import INFER, body, opened, pictures
from tests.integration.support.server import ServerProcess


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of the loopback that signs itself, and its key."""
    return self_signed(tmp_path)


def test_tls_on_both_ports(
    start_server: Callable[..., ServerProcess], certificate: tuple[Path, Path]
) -> None:
    server = start_server(
        *("--ssl-certfile", str(certificate[0]), "--ssl-keyfile", str(certificate[1]))
    )
    server.wait_event("The server is fired up and ready to roll!")
    url = server.base_url.replace("http://", "https://")
    trusted = ssl.create_default_context(cafile=certificate[0])
    with httpx.Client(base_url=url, verify=trusted, trust_env=False, timeout=60) as client:
        assert client.get("/v2/health/ready").status_code == httpx.codes.OK
        assert opened(pictures(client.post(INFER, json=body()))[0]).size == (128, 128)
    with pytest.raises(httpx.ConnectError), httpx.Client(base_url=url, trust_env=False) as stranger:
        stranger.get("/v2/health/ready")
    with pytest.raises(httpx.TransportError):
        server.client.get("/v2/health/ready")

    credentials = grpc.ssl_channel_credentials(certificate[0].read_bytes())
    with grpc.secure_channel(server.grpc_address, credentials) as channel:
        found = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert found.status == health_pb2.HealthCheckResponse.SERVING
    with grpc.insecure_channel(server.grpc_address) as channel, pytest.raises(grpc.RpcError):
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert server.terminate() == 0
