"""Image archives: written from a few files without a daemon, and told apart by their content."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ClusterError

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
NAME_ANNOTATION = "io.containerd.image.name"
SHORT_NAME_ANNOTATION = "org.opencontainers.image.ref.name"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EXECUTABLE = 0o755


@dataclass(frozen=True, slots=True)
class Contents:
    """``digest`` is another one for any other content; ``names`` are those the images have."""

    digest: str
    names: tuple[str, ...]


def write(
    file: Path,
    name: str,
    files: Mapping[str, bytes],
    *,
    entrypoint: Sequence[str],
    links: Mapping[str, str] | None = None,
) -> None:
    """Write an OCI archive of one image: executable ``files`` and symbolic ``links``, in one layer.

    The same arguments give the same bytes.
    """
    layer = _tar(files, links or {})
    machine = platform.machine()
    config = {
        "architecture": MACHINES.get(machine, machine),
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    blobs: dict[str, bytes] = {}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _blob(CONFIG, _json(config), blobs),
        "layers": [_blob(LAYER, layer, blobs)],
    }
    described = _blob(MANIFEST, _json(manifest), blobs)
    index = {
        "schemaVersion": 2,
        "manifests": [{**described, "annotations": {NAME_ANNOTATION: name}}],
    }
    parts = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)}
    file.write_bytes(_tar({**parts, **blobs}, {}))


def read(file: Path) -> Contents:
    """What is in an archive that ``docker save``, ``podman save`` or ``buildah push`` wrote.

    Raises:
        ClusterError: it is no such archive, or its images have no names.
    """
    try:
        with tarfile.open(file) as archive:
            return _contents(archive, file)
    except OSError as error:
        raise ClusterError(f"{file} cannot be read: {error.strerror}") from error
    except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"{file} is no archive of images: write one with `docker save`, or `buildah push NAME"
            f" oci-archive:FILE:NAME` ({error})"
        ) from error


def _contents(archive: tarfile.TarFile, file: Path) -> Contents:
    members = {each.name.removeprefix("./"): each for each in archive}

    def content(name: str) -> bytes:
        opened = archive.extractfile(members[name])
        if opened is None:
            raise ValueError(f"{name} is no file")
        return opened.read()

    # Archives of docker have both, and name their images in their own one only.
    if "manifest.json" in members:
        listed = content("manifest.json")
        images = json.loads(listed)
        names = [name for each in images for name in each["RepoTags"] or ()]
        # It says which layers there are, where the list has only file names.
        inside = [content(each["Config"]) for each in images]
    else:
        listed = content("index.json")
        noted = [each.get("annotations", {}) for each in json.loads(listed)["manifests"]]
        found = [each.get(NAME_ANNOTATION) or each.get(SHORT_NAME_ANNOTATION) for each in noted]
        names = [each for each in found if each]
        inside = []
    if not names:
        raise ClusterError(
            f"the images in {file} have no names: give one as the archive is written"
        )
    return Contents(_digest(b"".join([listed, *inside])), tuple(names))


def _blob(kind: str, content: bytes, blobs: dict[str, bytes]) -> dict[str, Any]:
    digest = _digest(content)
    blobs[f"blobs/{digest.replace(':', '/')}"] = content
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _tar(files: Mapping[str, bytes], links: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), EXECUTABLE
            archive.addfile(member, io.BytesIO(content))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
