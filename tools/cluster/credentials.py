"""Keys, certificates and kubeconfigs of one cluster: made for it, and removed with it.

One authority signs all. One certificate serves every program, as server and as etcd's client; a
user is a client certificate, whose organisations are the user's groups.
"""

import base64
import datetime
import ipaddress
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .layout import HOST, NODE_HOST, SERVICES, USERS, Layout

VALID_FOR = datetime.timedelta(days=365)
# A clock that runs behind must not refuse what was just signed.
VALID_SINCE = datetime.timedelta(hours=1)

# All names that a program of a cluster is called by: on the loopback, on the node, and as the
# Service through which pods reach the API server.
ADDRESSES = (HOST, NODE_HOST, str(ipaddress.ip_network(SERVICES)[1]))
NAMES = ("localhost", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")

# Whoever is in this group may do everything; the kubelet asks the API server for it.
KUBELET_CLIENT = "kubelet-client"
EVERYTHING = ("system:masters",)

SERVER_AND_CLIENT = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)

# What KServe's manager looks for below its temporary folder; a file cannot be named to it.
WEBHOOK_FOLDER = "temporary/k8s-webhook-server/serving-certs"


class Authority:
    """Signs certificates with a key that is written once, for the signer of the cluster itself."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kiln-test-cluster")])
        builder = _builder(name, name, self.key.public_key())
        self.certificate = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        ).sign(self.key, hashes.SHA256())

    def issue(
        self, name: str, groups: tuple[str, ...] = ()
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """A certificate for a program and its key; to the API server, user ``name``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        addresses = [
            *(x509.DNSName(each) for each in NAMES),
            *(x509.IPAddress(ipaddress.ip_address(each)) for each in ADDRESSES),
        ]
        builder = _builder(subject, self.certificate.subject, key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(SERVER_AND_CLIENT), critical=False)
        return builder.sign(self.key, hashes.SHA256()), key


def write_credentials(layout: Layout) -> None:
    """All files that the programs of a cluster need to trust one another."""
    authority = Authority()
    layout.authority.write_bytes(pem(authority.certificate))
    _write_key(layout.file("authority.key"), authority.key)
    certificate, key = authority.issue("loopback")
    webhook = layout.file(WEBHOOK_FOLDER)
    webhook.mkdir(parents=True)
    for crt, keys in (("loopback.crt", "loopback.key"), ("tls.crt", "tls.key")):
        folder = webhook if crt == "tls.crt" else layout.folder
        (folder / crt).write_bytes(pem(certificate))
        _write_key(folder / keys, key)
    certificate, key = authority.issue(KUBELET_CLIENT, EVERYTHING)
    layout.file(f"{KUBELET_CLIENT}.crt").write_bytes(pem(certificate))
    _write_key(layout.file(f"{KUBELET_CLIENT}.key"), key)
    _write_service_account_keys(layout)
    for user, groups in USERS.items():
        certificate, key = authority.issue(user, groups)
        config = kubeconfig(layout, user, certificate, key)
        _write_private(layout.kubeconfig(user), config.encode())


def kubeconfig(
    layout: Layout, user: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> str:
    """With everything inside, so that it can be copied."""
    name = "kiln-test-cluster"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {
                        "server": layout.api_server,
                        "certificate-authority-data": base64_of(layout.authority.read_bytes()),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": base64_of(pem(certificate)),
                        "client-key-data": base64_of(_private_pem(key)),
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        },
        sort_keys=False,
    )


def pem(certificate: x509.Certificate) -> bytes:
    """As programs read it."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def base64_of(content: bytes) -> str:
    """As kubeconfigs and webhook configurations hold it."""
    return base64.b64encode(content).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID_SINCE)
        .not_valid_after(now + VALID_FOR)
    )


def _write_service_account_keys(layout: Layout) -> None:
    """The pair that signs and checks the tokens of service accounts."""
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(layout.file("service-account.key"), key)
    layout.file("service-account.pub").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # The form that every program of the cluster reads; etcd and the API server take no other alike.
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    _write_private(file, _private_pem(key))


def _write_private(file: Path, content: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content)
