"""``python -m model doctor``: each check, with what is well and with what is not."""

import compileall
import os
import shutil
import socket
import sys
import sysconfig
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model.__main__ import main
from model.commands import doctor
from model.embedded import PIPELINE_FOLDER
from model.settings import Settings

Usage = namedtuple("Usage", "total used free")
Check = Callable[[Settings], Iterator[doctor.Finding]]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def only(check: Check, settings: Settings) -> doctor.Finding:
    (finding,) = check(settings)
    return finding


@pytest.mark.parametrize(
    ("check", "detail"),
    [
        (doctor.check_model, "StableDiffusionPipeline, revision"),
        (doctor.check_plan, "1 shapes, first text-to-image 128x128"),
        (doctor.check_device, "cpu"),
        (doctor.check_shared_memory, "MiB free; the largest request takes 192 MiB"),
        (doctor.check_ports, "can be opened"),
    ],
)
def test_what_is_well_needs_no_mending(
    check: Check, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 2**30))
    finding = only(check, Settings(http_port=0, grpc_port=0, device="cpu"))
    assert detail in finding.detail
    assert finding.mend == ""
    assert str(finding).startswith("ok ")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library that has just been installed; what Python keeps of it goes beside it."""
    folder = tmp_path / "site-packages"
    package = folder / "large_library"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(doctor, "LARGE_LIBRARY", package.name)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return folder


def test_libraries_that_are_read_as_source_at_every_start_are_told(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "the first start keeps it" in only(doctor.check_bytecode, Settings()).detail
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    finding = only(doctor.check_bytecode, Settings())
    assert (
        f"unset PYTHONDONTWRITEBYTECODE, or run python -m compileall -q {library}" in finding.mend
    )
    compileall.compile_dir(library, quiet=2)
    assert only(doctor.check_bytecode, Settings()).mend == ""


def test_a_library_that_cannot_keep_bytecode_is_told(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    finding = only(doctor.check_bytecode, Settings())
    assert "takes none" in finding.detail
    assert "where that can be written" in finding.mend
    monkeypatch.setattr(doctor, "LARGE_LIBRARY", "not_installed_at_all")
    assert "is not installed" in only(doctor.check_bytecode, Settings()).detail


def test_a_broken_model_folder_is_told(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PIPELINE_FOLDER, tmp_path / "model"))
    shutil.rmtree(folder / "vae")
    finding = only(doctor.check_model, Settings(model=str(folder)))
    assert "'vae' is missing" in finding.detail
    assert finding.mend
    assert "problem" in str(finding)
    assert "mend: " in str(finding)


def test_a_plan_that_does_not_fit_is_told() -> None:
    finding = only(doctor.check_plan, Settings(warmup_resolutions="100x64"))
    assert "warmup_resolutions: 100x64" in finding.detail
    assert finding.mend


def test_a_device_that_is_not_there_is_told() -> None:
    finding = only(doctor.check_device, Settings(device="cuda:97"))
    assert "'cuda:97' is not there" in finding.detail
    assert "--device" in finding.mend


def test_w21_the_devices_of_all_engines_and_ranks_must_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert not only(doctor.check_device, Settings(device="cuda:1", cfg_parallel=True)).mend
    finding = only(doctor.check_device, Settings(engines=2, cfg_parallel=True))
    assert "'cuda:3' is not there: torch sees 3 GPUs" in finding.detail


def test_more_threads_than_cores_are_told() -> None:
    finding = only(doctor.check_device, Settings(device="cpu", torch_threads=100_000))
    assert "--torch-threads" in finding.mend


def test_too_little_shared_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 64 * 2**20))
    finding = only(doctor.check_shared_memory, Settings())
    assert finding.detail.startswith("64 MiB free")
    assert "192 MiB" in finding.mend
    assert only(doctor.check_shared_memory, Settings(max_images=1)).mend == ""


def test_a_machine_without_shared_memory_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "SHARED_MEMORY", tmp_path / "none")
    assert "mount" in only(doctor.check_shared_memory, Settings()).mend


def test_a_folder_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "report").mkdir()
    settings = Settings(warmup_report_path=tmp_path / "report/report.json")
    shutil.rmtree(tmp_path / "report")
    temporary, report = doctor.check_folders(settings)
    assert temporary.mend == ""
    assert report.what == "report folder"
    assert "writable" in report.mend


def test_without_compilation_nobody_asks_for_a_compiler() -> None:
    assert list(doctor.check_compiler(Settings())) == []


def test_what_compiling_takes_is_looked_for(tmp_path: Path) -> None:
    settings = Settings(compile="regional", cache_dir=tmp_path / "cache")
    found = {each.what: each for each in doctor.check_compiler(settings)}
    assert set(found) == {"C++ compiler", "Python headers", "cache folder"}
    assert str(tmp_path) in found["cache folder"].detail
    assert found["cache folder"].mend == ""


def test_a_compiler_that_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    (tmp_path / "file").touch()
    settings = Settings(compile="full", cache_dir=tmp_path / "file/cache")
    found = {each.what: each for each in doctor.check_compiler(settings)}
    assert "there is no no-such-compiler" in found["C++ compiler"].detail
    assert "install no-such-compiler" in found["C++ compiler"].mend
    assert "python3-dev" in found["Python headers"].mend
    assert "cannot be written" in found["cache folder"].detail
    assert found["cache folder"].mend


def test_a_port_that_somebody_has_is_told(taken_port: int) -> None:
    finding = only(doctor.check_ports, Settings(host="127.0.0.1", http_port=taken_port))
    assert str(taken_port) in finding.detail
    assert "another port" in finding.mend


def test_the_exit_status_counts_for_scripts(
    taken_port: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 2**30))
    free = ["--host", "127.0.0.1", "--http-port", "0", "--grpc-port", "0", "--device", "cpu"]
    assert main(["doctor", *free]) == 0
    assert "No problems found." in capsys.readouterr().out
    assert main(["doctor", *free, "--http-port", str(taken_port)]) == 1
    assert "1 problem found." in capsys.readouterr().out
