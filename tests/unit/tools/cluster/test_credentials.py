"""The certificates are such that a strict TLS library accepts them, and no others."""

import contextlib
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from tools.cluster.credentials import WEBHOOK_FOLDER, write_credentials
from tools.cluster.layout import HOST, USERS, Layout


@pytest.fixture
def credentials(layout: Layout) -> Layout:
    write_credentials(layout)
    return layout


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """The issuer that the client sees on a connection to the loopback."""
    with contextlib.closing(socket.create_server((HOST, 0))) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), server.wrap_socket(connection, server_side=True):
                pass

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname()) as raw,
                client.wrap_socket(raw, server_hostname=HOST) as connection,
            ):
                return str(connection.getpeercert())
        finally:
            thread.join()


@pytest.mark.parametrize(
    ("certificate", "key"),
    [("loopback.crt", "loopback.key"), (f"{WEBHOOK_FOLDER}/tls.crt", f"{WEBHOOK_FOLDER}/tls.key")],
)
def test_loopback_certificate_is_trusted_by_the_authority(
    credentials: Layout, certificate: str, key: str
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(credentials.file(certificate), credentials.file(key))
    client = ssl.create_default_context(cafile=str(credentials.authority))
    assert "kiln-test-cluster" in handshake(server, client)


def test_certificate_of_another_cluster_is_not_trusted(credentials: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path / "other", credentials.ports, {})
    other.folder.mkdir()
    write_credentials(other)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(other.file("loopback.crt"), other.file("loopback.key"))
    client = ssl.create_default_context(cafile=str(credentials.authority))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client)


@pytest.mark.parametrize("user", USERS)
def test_kubeconfig_names_the_user_with_its_groups(credentials: Layout, user: str) -> None:
    config = yaml.safe_load(credentials.kubeconfig(user).read_text())
    assert config["clusters"][0]["cluster"]["server"] == credentials.api_server
    encoded = config["users"][0]["user"]["client-certificate-data"]
    certificate = x509.load_pem_x509_certificate(yaml.safe_load(f"!!binary {encoded}"))
    values = {
        oid: [each.value for each in certificate.subject.get_attributes_for_oid(oid)]
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    }
    assert values[NameOID.COMMON_NAME] == [user]
    assert values[NameOID.ORGANIZATION_NAME] == list(USERS[user])


def test_nobody_else_may_read_a_key(credentials: Layout) -> None:
    secret = [*credentials.folder.rglob("*.key"), *credentials.folder.glob("*.kubeconfig")]
    assert len(secret) == 13
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in secret)
