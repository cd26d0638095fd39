"""Which builder is taken, and what it is told."""

from pathlib import Path

import pytest

from tools.images import builders
from tools.images.builders import BUILDERS, Build, Builder, command, find, pip_settings
from tools.images.errors import ImageError

ROOT = Path("/checkout")
STAGES = Path("/temporary/stages")
BUILD = Build("controller", "kiln/controller:1", labels=(("a.b", "c"),))
DOCKER, PODMAN, BUILDAH = BUILDERS


@pytest.fixture(autouse=True)
def _plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)


def program(folder: Path, name: str, status: int) -> Builder:
    """A builder whose program is there and answers its check with ``status``."""
    file = folder / name
    file.write_text(f"#!/bin/sh\nexit {status}\n")
    file.chmod(0o755)
    return Builder(name, ("check",), ("build",), volumes=False, stored=False)


def test_the_first_that_works_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    without_daemon = program(tmp_path, "without-daemon", status=1)
    working = program(tmp_path, "working", status=0)
    missing = Builder("not-installed-anywhere", ("no",), ("no",), volumes=False, stored=False)
    monkeypatch.setattr(builders, "BUILDERS", (missing, without_daemon, working))
    assert find() == working
    assert find("working") == working
    with pytest.raises(ImageError, match=r"tried without-daemon\): install podman or buildah"):
        find("without-daemon")


def test_a_build_names_its_file_target_tag_and_labels() -> None:
    assert command(DOCKER, BUILD, ROOT, STAGES) == [
        *("docker", "build", "--file", "/temporary/stages", "--target", "controller"),
        *("--tag", "kiln/controller:1", "--label", "a.b=c", "/checkout"),
    ]


def test_a_base_is_an_argument_of_the_build() -> None:
    line = command(PODMAN, Build("model", "kiln/model:1", base="python:3.13"), ROOT, STAGES)
    assert line[line.index("--build-arg") + 1] == "BASE=python:3.13"


def test_the_machines_index_and_authority_hold_in_the_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pip_settings(BUILDAH) == ""
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    monkeypatch.setenv("PIP_CERT", "/trust/ca.crt")
    index = "[global]\nindex-url = https://packages.example/simple\n"
    assert pip_settings(BUILDAH) == f"{index}cert = /trust/ca.crt\n"
    line = command(BUILDAH, BUILD, ROOT, STAGES)
    assert line[line.index("--volume") + 1] == "/trust:/trust:ro"
    # Docker's builds mount nothing of the machine: a file that is not there would break pip.
    assert pip_settings(DOCKER) == index
    assert "--volume" not in command(DOCKER, BUILD, ROOT, STAGES)


def test_pips_settings_are_a_secret_of_the_build() -> None:
    line = command(DOCKER, BUILD, ROOT, STAGES, Path("/tmp/pip.conf"))  # noqa: S108
    assert line[line.index("--secret") + 1] == "id=pip,src=/tmp/pip.conf"
    assert "--secret" not in command(DOCKER, BUILD, ROOT, STAGES)


def test_another_storage_is_told_before_every_command() -> None:
    stored = BUILDAH.storing_in(Path("/layers"))
    options = ["--root", "/layers", "--runroot", "/layers/run"]
    assert stored.line("push", "x") == ["buildah", *options, "push", "x"]
    assert command(stored, BUILD, ROOT, STAGES)[:6] == ["buildah", *options, "bud"]


def test_a_daemon_cannot_be_told_another_storage() -> None:
    with pytest.raises(ImageError, match="docker keeps images where its daemon does"):
        DOCKER.storing_in(Path("/layers"))
