"""What a cached program is called says all that went into it."""

import shutil
from pathlib import Path

import pytest

from tools.cluster import families
from tools.cluster.families import (
    CHART_FAMILIES,
    FAMILIES,
    NODE_FAMILIES,
    content_hash,
    link_flags,
    version,
)
from tools.cluster.programs import PROGRAMS

ALL = {**FAMILIES, **CHART_FAMILIES, **NODE_FAMILIES}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the Go modules, to be changed."""
    copy = Path(shutil.copytree(families.MODULES, tmp_path / "programs"))
    monkeypatch.setattr(families, "MODULES", copy)
    return copy


def test_every_program_is_one_that_its_module_builds() -> None:
    for program in PROGRAMS:
        text = (ALL[program.family].source / "go.mod").read_text()
        tools = {line.rpartition("/")[2] for line in text.splitlines() if "/cmd/" in line}
        # Go names a program by its folder, and leaves out the version.
        if "tool go.etcd.io/etcd/server/v3" in text:
            tools.add("server")
        if "tool github.com/coredns/coredns" in text:
            tools.add("coredns")
        assert program.binary in tools


def test_version_is_that_of_the_module() -> None:
    text = (FAMILIES["kubernetes"].source / "go.mod").read_text()
    found = version(FAMILIES["kubernetes"])
    assert f"\tk8s.io/kubernetes {found} " in text
    assert f"-X k8s.io/component-base/version.gitVersion={found}" in link_flags(
        FAMILIES["kubernetes"]
    )


@pytest.mark.parametrize("name", ALL)
def test_same_content_has_the_same_hash(name: str, modules: Path) -> None:
    before = content_hash(ALL[name])
    (modules / name / "notes.txt").write_text("not part of the build")
    assert content_hash(ALL[name]) == before


@pytest.mark.parametrize("name", ALL)
def test_each_family_has_its_version_pinned(name: str) -> None:
    assert version(ALL[name]).startswith(("v", "(our own)"))
    assert ALL[name].name == name


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_any_change_of_the_pins_is_another_hash(file: str, modules: Path) -> None:
    before = content_hash(FAMILIES["etcd"])
    with (modules / "etcd" / file).open("a") as pins:
        pins.write("\n")
    assert content_hash(FAMILIES["etcd"]) != before


def test_our_own_program_is_another_one_with_another_source(modules: Path) -> None:
    pause = NODE_FAMILIES["pause"]
    before = content_hash(pause)
    with (modules / "pause/main.go").open("a") as source:
        source.write("// more\n")
    assert content_hash(pause) != before
    assert version(pause) == "(our own)"


def test_another_machine_needs_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = content_hash(FAMILIES["etcd"])
    monkeypatch.setattr("platform.machine", lambda: "a machine of another kind")
    assert content_hash(FAMILIES["etcd"]) != before


def test_libraries_of_kubernetes_are_of_its_own_version() -> None:
    text = (FAMILIES["kubernetes"].source / "go.mod").read_text()
    _, _, minor_and_patch = version(FAMILIES["kubernetes"]).partition(".")
    replaced = [line for line in text.splitlines() if " => k8s.io/" in line]
    assert len(replaced) > 30
    assert all(line.endswith(f" v0.{minor_and_patch}") for line in replaced)
