"""The addresses that ``fetch`` understands: the schemes of ``spec.model.uri``."""

import re
from dataclasses import dataclass
from typing import Final

from ..errors import InvalidSettings

EMBEDDED: Final = "embedded"
FILE: Final = "file"
GCS: Final = "gs"
HUB: Final = "hf"
S3: Final = "s3"

FORMS: Final = {
    HUB: (r"[\w.-]+/[\w.-]+(@[\w./-]+)?", "hf://ORGANISATION/NAME[@REVISION]"),
    S3: (r"[^/\s]+(/\S*)?", "s3://BUCKET/PATH"),
    GCS: (r"[^/\s]+(/\S*)?", "gs://BUCKET/PATH"),
    FILE: (r"/.+", "file:///FOLDER"),
    EMBEDDED: (r"", "embedded://"),
}
# What a pod gets without any download.
MOUNTED: Final = {
    "pvc": "Kubernetes mounts the claim; give serve the folder that it is mounted at",
    "oci": "Kubernetes mounts the image; give serve the folder that it is mounted at",
}


@dataclass(frozen=True, slots=True)
class Address:
    """``place``: what comes after the scheme. ``text``: the whole address, as it was given."""

    scheme: str
    place: str
    text: str

    @property
    def bucket(self) -> str:
        return self.place.partition("/")[0]

    @property
    def prefix(self) -> str:
        """Of every object's name; it ends with a slash, so that no neighbour begins with it."""
        path = self.place.partition("/")[2].strip("/")
        return f"{path}/" if path else ""

    @property
    def repository(self) -> str:
        return self.place.partition("@")[0]

    @property
    def revision(self) -> str | None:
        return self.place.partition("@")[2] or None


def parse(text: str) -> Address:
    """The address.

    Raises:
        InvalidSettings: it is none that anything could be fetched from.
    """
    scheme, found, place = text.partition("://")
    if scheme in MOUNTED and found:
        raise InvalidSettings(f"URI: there is nothing to fetch from {scheme}://: {MOUNTED[scheme]}")
    form, written = FORMS.get(scheme, ("", ""))
    if not found or not written:
        known = ", ".join(each for _, each in FORMS.values())
        raise InvalidSettings(f"URI: {text[:200]!r} has no scheme that is known; write {known}")
    if not re.fullmatch(form, place):
        raise InvalidSettings(f"URI: {text[:200]!r} is not of the form {written}")
    return Address(scheme, place, text)
