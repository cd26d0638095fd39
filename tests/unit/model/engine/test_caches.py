"""The folder of compiled code: refused before anything starts, and told to every compiler."""

import os
from pathlib import Path

import pytest

from model.engine.caches import FOLDERS, point_compilers_to, prepare_cache
from model.errors import InvalidSettings


def test_a_cache_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    prepare_cache(folder)
    assert list(folder.iterdir()) == []
    prepare_cache(None)


def test_a_cache_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    for folder in (blocked, blocked / "below", Path("/proc/kiln")):
        with pytest.raises(InvalidSettings, match=f"cache_dir: '{folder}' cannot be written"):
            prepare_cache(folder)


def test_the_compilers_are_told_unless_the_user_has_told_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in FOLDERS:
        monkeypatch.delenv(variable, raising=False)
    point_compilers_to(None)
    assert os.environ.keys().isdisjoint(FOLDERS)
    monkeypatch.setenv("TRITON_CACHE_DIR", "/theirs")
    point_compilers_to(tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "inductor")
    assert os.environ["TRITON_CACHE_DIR"] == "/theirs"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
