"""One certificate and key serve both ports, and neither speaks in the clear."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.integration.support.requests import INFER, body, opened, pictures
from tests.integration.support.server import ServerProcess


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of the loopback that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    loopback = x509.IPAddress(ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .sign(key, hashes.SHA256())
    )
    found = tmp_path / "certificate.pem", tmp_path / "key.pem"
    found[0].write_bytes(signed.public_bytes(Encoding.PEM))
    found[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return found


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
