"""The Hugging Face hub, or what speaks like it at ``HF_ENDPOINT``. ``HF_TOKEN`` opens what is not
public. Messages name the model and never an address: those of its storage are signed.
"""

import os
import re
from collections.abc import Iterator
from typing import Any, Final

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    get_session,
)

from ..errors import ModelNotLoadable
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
)

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
PARTIAL: Final = 206
NO_RIGHT: Final = (401, 403)
GONE: Final = 404
BUSY: Final = 429
SERVER_ERROR: Final = 500


class Hub:
    """One model at one revision."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._endpoint = os.environ.get("HF_ENDPOINT") or None
        self._commit = ""

    def pinned(self) -> str | None:
        revision = self._address.revision or ""
        return revision if COMMIT.fullmatch(revision) else None

    def listing(self) -> Listing:
        """Of the commit that the revision names now; what is read afterwards is of that commit."""
        try:
            found = HfApi(endpoint=self._endpoint).model_info(
                self._address.repository,
                revision=self._address.revision,
                files_metadata=True,
                timeout=READ_SECONDS,
            )
        except HFValidationError as error:
            raise ModelNotLoadable(
                f"{self._address.text}: no model of the hub has such a name"
            ) from error
        except (HTTPError, OSError, OfflineModeIsEnabled) as error:
            raise self._failure(error) from error
        self._commit = found.sha or ""
        several = tuple(_file(each) for each in found.siblings or ())
        return Listing(self._commit, several)

    def digest(self, file: RemoteFile) -> Digest | None:
        return file.digest

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        url = hf_hub_url(
            self._address.repository, file.path, revision=self._commit, endpoint=self._endpoint
        )
        # Compressed on the way, a range would be one of other bytes.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        silence = (CONNECT_SECONDS, READ_SECONDS, READ_SECONDS, READ_SECONDS)
        try:
            with get_session().stream("GET", url, headers=headers, timeout=silence) as answer:
                if answer.is_error:
                    raise self._refusal(answer.status_code)
                # One that knows no ranges sends everything again.
                skip = start if answer.status_code != PARTIAL else 0
                for chunk in answer.iter_bytes(CHUNK):
                    yield chunk[skip:]
                    skip = max(0, skip - len(chunk))
        except (HTTPError, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> Exception:
        match error:
            case GatedRepoError():
                return self._refusal(NO_RIGHT[-1])
            case RevisionNotFoundError():
                return ModelNotLoadable(
                    f"{self._address.text}: the model has no revision {self._address.revision!r}"
                )
            case RepositoryNotFoundError():
                return self._refusal(GONE)
            case HfHubHTTPError():
                return self._refusal(error.response.status_code)
            case OfflineModeIsEnabled():
                return BrokenOff("HF_HUB_OFFLINE is set, so the hub is not asked")
        return BrokenOff(f"the hub cannot be reached: {type(error).__name__}")

    def _refusal(self, status: int) -> Exception:
        if status in NO_RIGHT:
            return ModelNotLoadable(
                f"{self._address.text}: the hub says {status}: {_token()} has no right to this "
                "model; accept its conditions on its page, and set HF_TOKEN to a token that may "
                "read it"
            )
        if status == BUSY or status >= SERVER_ERROR:
            return BrokenOff(f"the hub says {status}")
        return ModelNotLoadable(
            f"{self._address.text}: the hub says {status}: there is no such model, or {_token()} "
            "may not see it; check its name, and HF_TOKEN"
        )


def _token() -> str:
    return "the token in HF_TOKEN" if os.environ.get("HF_TOKEN") else "nobody without a token"


def _file(found: Any) -> RemoteFile:
    if found.lfs is not None:
        sha256 = found.lfs.sha256
        return RemoteFile(found.rfilename, found.lfs.size, sha256, Digest(digests.SHA256, sha256))
    digest = Digest(digests.GIT, found.blob_id) if found.blob_id else None
    return RemoteFile(found.rfilename, found.size or 0, found.blob_id or "", digest)
