"""``python -m model fetch s3://``, from moto's S3 over real HTTP; and ``gs://``, whose JSON API
this test plays, with Google's own library for the credentials."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import google_crc32c
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from moto.server import ThreadedMotoServer
from structlog.testing import capture_logs

from model.embedded import PIPELINE_FOLDER
from model.errors import StartupError
from model.sources.address import parse
from model.sources.fetching import Fetched, fetch
from model.sources.opening import open_source
from tests.integration.sources.conftest import SUPERFLUOUS, UNET, fetched, model_files

MIB = 1024 * 1024
PART = 5 * MIB
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT_ENCODER = "text_encoder/model.safetensors"
SECRET = "a-secret-that-opens-the-bucket"  # noqa: S105


def bring(folder: Path, uri: str) -> Fetched:
    address = parse(uri)
    return fetch(open_source(address, PIPELINE_FOLDER), address, folder, first_pause=0.001)


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def refused(folder: Path, uri: str) -> StartupError:
    with pytest.raises(StartupError) as refusal:
        bring(folder, uri)
    return refusal.value


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket with the model below ``models/fox``, and neighbours that begin like it."""
    httpx.post(f"{moto}/moto-api/reset", trust_env=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "fox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client: Any = boto3.Session().client("s3", endpoint_url=moto)
    client.create_bucket(Bucket="art")
    for name, data in {**model_files(), **SUPERFLUOUS}.items():
        key = f"models/fox/{name}"
        if name == UNET:
            _in_parts(client, key, data)
        elif name == VAE:
            client.put_object(Bucket="art", Key=key, Body=data, ChecksumAlgorithm="SHA256")
        else:
            client.put_object(Bucket="art", Key=key, Body=data, ChecksumAlgorithm="CRC32")
    client.put_object(Bucket="art", Key="models/fox-2/model_index.json", Body=b"{}")
    client.put_object(Bucket="art", Key="models/fox/", Body=b"")
    return client


def _in_parts(client: Any, key: str, data: bytes) -> None:
    place = {"Bucket": "art", "Key": key}
    upload = client.create_multipart_upload(**place)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(data), PART), 1):
        sent = client.upload_part(
            **place, UploadId=upload, PartNumber=number, Body=data[start : start + PART]
        )
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})


def test_a_folder_of_a_bucket_is_fetched_and_checked(bucket: Any, tmp_path: Path) -> None:
    with capture_logs() as said:
        done = bring(tmp_path, "s3://art/models/fox")
    assert fetched(tmp_path) == model_files()
    assert done.files == 12
    checked = {each["path"]: each["checked_by"] for each in said if "checked_by" in each}
    assert (checked[UNET], checked[VAE]) == ("md5-of-parts", "sha256")
    assert checked[TEXT_ENCODER] == "crc32"
    assert bring(tmp_path, "s3://art/models/fox") == Fetched(done.revision)
    assert SECRET not in str(said)


def test_an_object_that_was_replaced_changes_the_revision(bucket: Any, tmp_path: Path) -> None:
    before = bring(tmp_path, "s3://art/models/fox/")
    other = model_files()["unet/config.json"].swapcase()  # of the same size
    bucket.put_object(Bucket="art", Key="models/fox/unet/config.json", Body=other)
    after = bring(tmp_path, "s3://art/models/fox/")
    assert (after.files, after.revision != before.revision) == (1, True)
    assert fetched(tmp_path)["unet/config.json"] == other


def test_an_object_that_is_not_what_its_checksum_says_is_refused(
    bucket: Any, tmp_path: Path, moto: str
) -> None:
    with _spoiled(moto) as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        error = refused(tmp_path, "s3://art/models/fox")
    assert error.exit_code == 11
    assert not (tmp_path / UNET).exists()


def test_a_connection_that_breaks_is_gone_on_with(bucket: Any, tmp_path: Path, moto: str) -> None:
    ranges: list[str] = []
    with _cut(moto, 3 * MIB, ranges) as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        bring(tmp_path, "s3://art/models/fox")
    assert fetched(tmp_path) == model_files()
    assert f"bytes={3 * MIB}-" in ranges


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("s3://nowhere/models", "NoSuchBucket: check the bucket's name"),
        ("s3://art/models/wolf", "it is not a diffusers folder"),
        ("s3://art/models", "it is not a diffusers folder"),
    ],
)
def test_c14_what_is_not_in_a_bucket_is_told(
    bucket: Any, tmp_path: Path, uri: str, says: str
) -> None:
    error = refused(tmp_path, uri)
    assert (error.exit_code, says in str(error)) == (4, True), error


def test_c14_credentials_that_are_wrong_or_missing_are_told(
    bucket: Any, moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpx.post(f"{moto}/moto-api/reset-auth", content="0", trust_env=False)
    try:
        error = refused(tmp_path, "s3://art/models/fox")
    finally:
        httpx.post(f"{moto}/moto-api/reset-auth", content="inf", trust_env=False)
    assert (error.exit_code, "these credentials have no right" in str(error)) == (4, True), error
    assert SECRET not in str(error)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    error = refused(tmp_path, "s3://art/models/fox")
    assert (error.exit_code, "set AWS_ACCESS_KEY_ID" in str(error)) == (4, True), error


def test_c14_a_bucket_that_cannot_be_reached_is_told(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    error = refused(tmp_path, "s3://art/models/fox")
    assert (error.exit_code, "cannot be reached" in str(error)) == (9, True), error


@contextmanager
def _between(base: str, answer: Any) -> Iterator[str]:
    """An address in front of ``base``; ``answer`` writes what of it comes through."""

    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            found = httpx.request(
                self.command, f"{base}{self.path}", headers=dict(self.headers), trust_env=False
            )
            self.send_response(found.status_code)
            for name, value in found.headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                answer(self, found.content)

        do_GET = do_HEAD = _pass_on  # noqa: N815

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            """Nobody reads it."""

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}"


def _spoiled(base: str) -> Any:
    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        large = len(body) > MIB
        handler.wfile.write(body[:-1] + bytes([body[-1] ^ 1]) if large else body)

    return _between(base, answer)


def _cut(base: str, most: int, ranges: list[str]) -> Any:
    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        ranges.append(handler.headers.get("Range", ""))
        handler.wfile.write(body[:most])

    return _between(base, answer)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class GoogleStorage:
    """One bucket, ``art``, listed in pages of five. ``composed``: names without an MD5."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects
        self.composed = {f"models/fox/{UNET}"}
        self.refuse: int | None = None
        self.cut: int | None = None
        self.tokens: list[str | None] = []
        self.starts: list[int] = []

    def handler(self) -> type[BaseHTTPRequestHandler]:
        storage = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self._send(200, json.dumps({"access_token": SECRET, "expires_in": 3600}).encode())

            def do_GET(self) -> None:
                storage.tokens.append(self.headers.get("Authorization"))
                found = urlsplit(self.path)
                asked = {name: values[0] for name, values in parse_qs(found.query).items()}
                if storage.refuse:
                    self._send(storage.refuse, b"{}")
                elif found.path == "/storage/v1/b/art/o":
                    self._send(200, json.dumps(storage.page(asked)).encode())
                elif found.path.startswith("/storage/v1/b/art/o/"):
                    self._media(unquote(found.path.removeprefix("/storage/v1/b/art/o/")), asked)
                else:
                    self._send(404, b"{}")

            def _media(self, name: str, asked: dict[str, str]) -> None:
                data = storage.objects[name]
                assert asked == {"alt": "media", "ifGenerationMatch": storage.generation(name)}
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                storage.starts.append(start)
                self.send_response(206)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                self.wfile.write(data[start:][: storage.cut])

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002
                """Nobody reads it."""

        return Handler

    def generation(self, name: str) -> str:
        return str(int(md5(self.objects[name]).hex()[:12], 16))

    def page(self, asked: dict[str, str]) -> dict[str, Any]:
        names = sorted(each for each in self.objects if each.startswith(asked["prefix"]))
        start = int(asked.get("pageToken", 0))
        more = {"nextPageToken": str(start + 5)} if start + 5 < len(names) else {}
        return {**more, "items": [self._item(each) for each in names[start : start + 5]]}

    def _item(self, name: str) -> dict[str, str]:
        data = self.objects[name]
        crc = google_crc32c.Checksum(data).digest()
        found = {"name": name, "size": str(len(data)), "generation": self.generation(name)}
        found["crc32c"] = base64.b64encode(crc).decode()
        if name not in self.composed:
            found["md5Hash"] = base64.b64encode(md5(data)).decode()
        return found


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleStorage]:
    everything = {**model_files(), **SUPERFLUOUS}
    storage = GoogleStorage({f"models/fox/{name}": data for name, data in everything.items()})
    storage.objects["models/fox-2/model_index.json"] = b"{}"
    with serving(storage.handler()) as port:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        yield storage


def service_account(token_uri: str) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "fox@art.example",
            "private_key": pem.decode(),
            "token_uri": token_uri,
        }
    )


def test_a_folder_of_googles_storage_is_fetched_and_checked(
    google: GoogleStorage, tmp_path: Path
) -> None:
    google.cut = 5 * MIB
    with capture_logs() as said:
        done = bring(tmp_path, "gs://art/models/fox")
    assert fetched(tmp_path) == model_files()
    assert 5 * MIB in google.starts
    checked = {each["path"]: each["checked_by"] for each in said if "checked_by" in each}
    assert (checked[UNET], checked[VAE]) == ("crc32c", "md5")
    assert bring(tmp_path, "gs://art/models/fox") == Fetched(done.revision)
    assert set(google.tokens) == {None}


@pytest.mark.parametrize(
    "variable", ["GOOGLE_APPLICATION_CREDENTIALS_JSON", "gcloud-application-credentials.json"]
)
def test_the_key_of_a_service_account_opens_googles_storage(
    google: GoogleStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    import os

    monkeypatch.setenv(variable, service_account(os.environ["STORAGE_EMULATOR_HOST"] + "/token"))
    bring(tmp_path, "gs://art/models/fox")
    assert set(google.tokens) == {f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, 4, "roles/storage.objectViewer"),
        (404, 4, "check the bucket's name"),
        (503, 9, "Google Cloud Storage says 503"),
    ],
)
def test_c14_what_googles_storage_refuses_is_told(
    google: GoogleStorage, tmp_path: Path, status: int, code: int, says: str
) -> None:
    google.refuse = status
    error = refused(tmp_path, "gs://art/models/fox")
    assert (error.exit_code, says in str(error)) == (code, True), error


def test_c14_a_key_that_is_none_is_told_without_its_content(
    google: GoogleStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS_JSON", f'{{"private_key": "{SECRET}"}}')
    error = refused(tmp_path, "gs://art/models/fox")
    assert (error.exit_code, SECRET in str(error)) == (2, False)
    assert "GOOGLE_APPLICATION_CREDENTIALS_JSON is not the JSON key" in str(error)
