"""S3, and what speaks like it at ``AWS_ENDPOINT_URL``. Credentials and options come from the
variables that KServe takes from its own Secrets, so that one Secret serves both backends.
"""

import base64
import os
import re
from collections.abc import Iterator
from typing import Any, Final

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from urllib3.exceptions import HTTPError

from ..errors import InvalidSettings, ModelNotLoadable
from . import digests
from .address import Address
from .listing import (
    CHUNK,
    CONNECT_SECONDS,
    READ_SECONDS,
    BrokenOff,
    Digest,
    Listing,
    RemoteFile,
    revision_of,
)

IN_ONE_PIECE: Final = re.compile(r"[0-9a-f]{32}")
IN_PARTS: Final = re.compile(r"[0-9a-f]{32}-\d+")
NO_RIGHT: Final = frozenset(
    "AccessDenied AllAccessDisabled ExpiredToken InvalidAccessKeyId InvalidToken "
    "SignatureDoesNotMatch 401 403".split()
)
NOT_THERE: Final = frozenset("NoSuchBucket NoSuchKey 404".split())
CHANGED: Final = frozenset("PreconditionFailed 412".split())
TRY_AGAIN: Final = (408, 429)
SERVER_ERROR: Final = 500
UNREACHABLE: Final = (
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    HTTPError,
    OSError,
)
TROUBLE: Final = (BotoCoreError, ClientError, HTTPError, OSError)


class S3:
    """One folder of a bucket."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._where = {"Bucket": address.bucket}
        try:
            self._client: Any = boto3.Session().client("s3", **_options())
        except (BotoCoreError, ValueError) as error:
            raise InvalidSettings(f"{address.text}: S3 cannot be set up: {error}") from error

    def pinned(self) -> str | None:
        return None

    def listing(self) -> Listing:
        files: list[RemoteFile] = []
        try:
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(**self._where, Prefix=self._address.prefix):
                files.extend(self._file(each) for each in page.get("Contents", ()))
        except TROUBLE as error:
            raise self._failure(error) from error
        return Listing(revision_of(files), tuple(files))

    def digest(self, file: RemoteFile) -> Digest | None:
        """What the object's own checksums offer, best first."""
        try:
            found = self._head(file, ChecksumMode="ENABLED")
            if digest := _checksum(found) or _from_etag(file, found):
                return digest
            if IN_PARTS.fullmatch(file.identity) and _etag_is_md5(found):
                part_bytes = self._head(file, PartNumber=1)["ContentLength"]
                return Digest(digests.MD5_OF_PARTS, file.identity, part_bytes)
        except TROUBLE as error:
            raise self._failure(error) from error
        return None

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        try:
            # Of the object that was listed, and of no later one.
            answer = self._client.get_object(
                **self._where,
                Key=self._key(file),
                Range=f"bytes={start}-",
                IfMatch=f'"{file.identity}"',
            )
            yield from answer["Body"].iter_chunks(CHUNK)
        except TROUBLE as error:
            raise self._failure(error) from error

    def _head(self, file: RemoteFile, **options: object) -> dict[str, Any]:
        found: dict[str, Any] = self._client.head_object(
            **self._where, Key=self._key(file), **options
        )
        return found

    def _key(self, file: RemoteFile) -> str:
        return f"{self._address.prefix}{file.path}"

    def _file(self, found: dict[str, Any]) -> RemoteFile:
        path = found["Key"].removeprefix(self._address.prefix)
        return RemoteFile(path, found["Size"], found["ETag"].strip('"'))

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, ClientError):
            return self._refusal(error)
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return ModelNotLoadable(
                f"{self._address.text}: there are no credentials; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or awsAnonymousCredential=true for a public bucket"
            )
        if isinstance(error, UNREACHABLE):
            return BrokenOff(f"S3 cannot be reached: {type(error).__name__}")
        return ModelNotLoadable(f"{self._address.text}: {error}")

    def _refusal(self, error: ClientError) -> Exception:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = f"{self._address.text}: S3 says {code}"
        if code in NO_RIGHT:
            return ModelNotLoadable(
                f"{said}: these credentials have no right to it; check AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and what the bucket's policy allows "
                "(s3:ListBucket, s3:GetObject)"
            )
        if code in NOT_THERE:
            return ModelNotLoadable(
                f"{said}: check the bucket's name, AWS_DEFAULT_REGION and AWS_ENDPOINT_URL"
            )
        if code in CHANGED:
            return BrokenOff("an object was replaced while it was read")
        if status in TRY_AGAIN or status >= SERVER_ERROR:
            return BrokenOff(f"S3 says {code}")
        return ModelNotLoadable(f"{said}: check AWS_DEFAULT_REGION and AWS_ENDPOINT_URL")


def _options() -> dict[str, Any]:
    """The variables that KServe's own Secrets for S3 become."""
    given = os.environ
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "max_attempts": 3},
        # Files are checked as a whole, however many ranges they came in.
        response_checksum_validation="when_required",
    )
    if _true(given.get("awsAnonymousCredential", "")):
        config = config.merge(Config(signature_version=UNSIGNED))
    if _true(given.get("S3_USER_VIRTUAL_BUCKET", "")):
        config = config.merge(Config(s3={"addressing_style": "virtual"}))
    verify: bool | str | None = given.get("AWS_CA_BUNDLE") or None
    if given.get("S3_VERIFY_SSL", "") and not _true(given["S3_VERIFY_SSL"]):
        verify = False
    return {
        "config": config,
        "endpoint_url": given.get("AWS_ENDPOINT_URL") or None,
        "verify": verify,
    }


def _true(text: str) -> bool:
    return text.lower() in ("1", "true")


def _checksum(found: dict[str, Any]) -> Digest | None:
    if found.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    for name, algorithm in (
        ("ChecksumSHA256", digests.SHA256),
        ("ChecksumCRC32C", digests.CRC32C),
        ("ChecksumCRC32", digests.CRC32),
    ):
        # One of parts ends with their number.
        if (value := found.get(name)) and "-" not in value:
            return Digest(algorithm, base64.b64decode(value).hex())
    return None


def _from_etag(file: RemoteFile, found: dict[str, Any]) -> Digest | None:
    if IN_ONE_PIECE.fullmatch(file.identity) and _etag_is_md5(found):
        return Digest(digests.MD5, file.identity)
    return None


def _etag_is_md5(found: dict[str, Any]) -> bool:
    """Not of objects whose keys are not S3's own."""
    managed = str(found.get("ServerSideEncryption", "")).startswith("aws:kms")
    return not managed and "SSECustomerAlgorithm" not in found
