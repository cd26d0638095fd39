"""What is built once is not built again, and what a reader has is not written again."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cluster.support.images import CONTROLLER
from tools.cluster.node import checkout
from tools.images.builders import Builder, find
from tools.images.layers import Image, write

# As our own: packages that the image lies on, and code that is copied onto them.
DOCKERFILE = """
FROM scratch AS base
COPY base /base
FROM base AS packages
COPY packages /packages
FROM base AS code
COPY code /code
FROM packages AS whole
COPY --from=code /code /code
"""
NAMES = ("base", "packages", "code")
WHOLE = "localhost/kiln-tests/whole:latest"


@pytest.fixture
def builder(built_images: Mapping[str, Image], tmp_path: Path) -> Builder:
    """With nothing in its storage."""
    return find("buildah").storing_in(tmp_path / "storage")


@pytest.mark.parametrize("left_out", [0, 2])
def test_image_is_written_without_the_layers_that_its_reader_has(
    built_images: Mapping[str, Image], tmp_path: Path, left_out: int
) -> None:
    image = built_images[CONTROLLER]
    # The first are the base and the packages' list.
    without, rest = image.layers[:left_out], image.layers[left_out:]
    files = write(checkout.builder(), image, tmp_path, without)
    index = json.loads((tmp_path / "index.json").read_text())
    blobs = {each.name for each in files if each.parent.name == "sha256"}
    manifest = described(tmp_path, index["manifests"][0]["digest"])
    assert len(manifest["layers"]) == len(image.layers)
    named = [each["digest"].removeprefix("sha256:") for each in manifest["layers"]]
    assert blobs.isdisjoint(named[:left_out])
    assert blobs.issuperset(named[left_out:])
    assert len(blobs) == len(rest) + 2
    # What is left out is named as the reader knows it: unpacked.
    kept_out = [(each["digest"], each["size"]) for each in manifest["layers"][:left_out]]
    assert kept_out == [(each.digest, each.size) for each in without]


def test_prune_keeps_what_the_next_build_takes(builder: Builder, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    for name in NAMES:
        (context / name).write_text(name)
    build(builder, context)
    (context / "code").write_text("other code")
    build(builder, context)

    before = images(builder)
    checkout.prune(builder, kept=len(before))
    assert images(builder) == before
    checkout.prune(builder, kept=len(before) - 1)
    assert len(images(builder)) < len(before)
    said = build(builder, context)
    taken = [name for name in NAMES if f"COPY {name} /{name}\n--> Using cache" in said]
    assert taken == ["base", "packages"]


def described(folder: Path, digest: str) -> dict[str, list[dict[str, str]]]:
    """What a blob of an OCI layout says."""
    file = folder / "blobs" / digest.replace(":", "/")
    said: dict[str, list[dict[str, str]]] = json.loads(file.read_text())
    return said


def build(builder: Builder, context: Path) -> str:
    """What the builder says of it."""
    line = builder.line(*builder.build, "--tag", WHOLE, str(context))
    return subprocess.check_output(line, stderr=subprocess.STDOUT, text=True)


def images(builder: Builder) -> list[str]:
    """All that are in its storage."""
    line = builder.line("images", "--all", "--quiet")
    return sorted(subprocess.check_output(line, text=True).split())
