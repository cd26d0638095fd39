"""Without Go, the message says what to install, and what else would do."""

from pathlib import Path

import pytest

from tools.cluster import build as builds
from tools.cluster.errors import GoMissing
from tools.cluster.families import FAMILIES


@pytest.fixture
def no_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(builds, "GO_PLACES", (str(tmp_path / "go"),))


@pytest.mark.usefixtures("no_go")
def test_missing_go_is_told_with_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(GoMissing, match=r"install Go 1\.26 or newer .* or set KUBECONFIG"):
        builds.build(FAMILIES["etcd"], tmp_path)


@pytest.mark.usefixtures("no_go")
def test_what_is_built_needs_no_go(tmp_path: Path) -> None:
    folder = builds.built_folder(FAMILIES["etcd"], tmp_path)
    folder.mkdir()
    assert builds.build(FAMILIES["etcd"], tmp_path) == folder


def test_go_is_found_where_it_is_installed_outside_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    go.touch()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(builds, "GO_PLACES", (str(tmp_path / "elsewhere"), str(go)))
    assert builds.find_go() == go
