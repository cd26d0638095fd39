"""Google Cloud Storage by its JSON API, or what speaks like it at ``STORAGE_EMULATOR_HOST``.

Credentials: a service account's key as text in ``GOOGLE_APPLICATION_CREDENTIALS_JSON``, or under
the name that KServe's Secrets give it; else what Google's own library finds (a file, workload
identity); else none, for public buckets.
"""

import base64
import json
import os
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import google.auth
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.service_account import Credentials
from requests import RequestException, Response

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

GOOGLE: Final = "https://storage.googleapis.com"
SCOPES: Final = ("https://www.googleapis.com/auth/devstorage.read_only",)
KEY_VARIABLES: Final = (
    "GOOGLE_APPLICATION_CREDENTIALS_JSON",
    "gcloud-application-credentials.json",
)
FIELDS: Final = "nextPageToken,items(name,size,generation,md5Hash,crc32c)"
SILENCE: Final = (CONNECT_SECONDS, READ_SECONDS)
PARTIAL: Final = 206
NO_RIGHT: Final = (401, 403)
TRY_AGAIN: Final = (408, 412, 429)
SERVER_ERROR: Final = 500
FIRST_ERROR: Final = 400


class Gcs:
    """One folder of a bucket."""

    def __init__(self, address: Address) -> None:
        self._address = address
        base = os.environ.get("STORAGE_EMULATOR_HOST", GOOGLE).rstrip("/")
        self._objects = f"{base}/storage/v1/b/{quote(address.bucket, safe='')}/o"
        self._session = AuthorizedSession(_credentials())

    def pinned(self) -> str | None:
        return None

    def listing(self) -> Listing:
        files: list[RemoteFile] = []
        asked = {"prefix": self._address.prefix, "fields": FIELDS}
        while True:
            with self._get(self._objects, params=asked) as answer:
                page = self._parsed(answer)
            files.extend(self._file(each) for each in page.get("items", ()))
            if not (token := page.get("nextPageToken")):
                return Listing(revision_of(files), tuple(files))
            asked["pageToken"] = token

    def digest(self, file: RemoteFile) -> Digest | None:
        return file.digest

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        name = quote(f"{self._address.prefix}{file.path}", safe="")
        # Of the object that was listed, and of no later one.
        asked = {"alt": "media", "ifGenerationMatch": file.identity}
        headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"}
        with self._get(f"{self._objects}/{name}", params=asked, headers=headers) as answer:
            skip = start if answer.status_code != PARTIAL else 0
            try:
                for chunk in answer.iter_content(CHUNK):
                    yield chunk[skip:]
                    skip = max(0, skip - len(chunk))
            except (RequestException, OSError) as error:
                raise _unreachable(error) from error

    def _get(self, url: str, **options: Any) -> Response:
        try:
            answer: Response = self._session.get(url, stream=True, timeout=SILENCE, **options)
        except (RequestException, GoogleAuthError, OSError) as error:
            raise _unreachable(error) from error
        if answer.status_code >= FIRST_ERROR:
            answer.close()
            raise self._refusal(answer.status_code)
        return answer

    def _parsed(self, answer: Response) -> dict[str, Any]:
        try:
            return dict(answer.json())
        except (RequestException, OSError, ValueError, TypeError) as error:
            raise _unreachable(error) from error

    def _file(self, found: dict[str, Any]) -> RemoteFile:
        path = found["name"].removeprefix(self._address.prefix)
        return RemoteFile(path, int(found["size"]), str(found["generation"]), _digest(found))

    def _refusal(self, status: int) -> Exception:
        said = f"{self._address.text}: Google Cloud Storage says {status}"
        if status in TRY_AGAIN or status >= SERVER_ERROR:
            return BrokenOff(f"Google Cloud Storage says {status}")
        if status in NO_RIGHT:
            return ModelNotLoadable(
                f"{said}: these credentials have no right to it; check {KEY_VARIABLES[0]}, and "
                "that the account may list and read objects (roles/storage.objectViewer)"
            )
        return ModelNotLoadable(f"{said}: check the bucket's name")


def _credentials() -> Any:
    for name in KEY_VARIABLES:
        if text := os.environ.get(name):
            try:
                return Credentials.from_service_account_info(json.loads(text), scopes=SCOPES)
            except (ValueError, GoogleAuthError) as error:
                # Its words may quote the key.
                raise InvalidSettings(f"{name} is not the JSON key of a service account") from error
    if "STORAGE_EMULATOR_HOST" in os.environ:
        return AnonymousCredentials()  # what is Google's is for Google
    try:
        found, _ = google.auth.default(scopes=SCOPES)
    except DefaultCredentialsError:
        return AnonymousCredentials()
    return found


def _digest(found: dict[str, Any]) -> Digest | None:
    """Objects that were composed of others have no MD5."""
    for field, algorithm in (("md5Hash", digests.MD5), ("crc32c", digests.CRC32C)):
        if value := found.get(field):
            return Digest(algorithm, base64.b64decode(value).hex())
    return None


def _unreachable(error: Exception) -> BrokenOff:
    return BrokenOff(f"Google Cloud Storage cannot be reached: {type(error).__name__}")
