"""A model in a repository as people keep them: with everything else that lies around in one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from model.embedded import PIPELINE_FOLDER
from tests.integration.sources.hub_server import HubServer, running

UNET = "unet/diffusion_pytorch_model.safetensors"
# Variables that would tell the libraries something else than the test does.
FOREIGN = ("AWS_", "GOOGLE_", "HF_", "STORAGE_", "S3_")
SUPERFLUOUS = {
    ".gitattributes": b"*.safetensors filter=lfs",
    "README.md": b"# A model",
    "tiny.safetensors": b"all of it in one file",
    "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
    "unet/diffusion_pytorch_model.bin": b"a pickle",
    "unet/model.onnx": b"for another program",
    "unet_backup/diffusion_pytorch_model.safetensors": b"no component",
}


def model_files() -> dict[str, bytes]:
    """Of the embedded model."""
    return {
        each.relative_to(PIPELINE_FOLDER).as_posix(): each.read_bytes()
        for each in sorted(PIPELINE_FOLDER.rglob("*"))
        if each.is_file()
    }


def fetched(folder: Path) -> dict[str, bytes]:
    """What lies in a folder, but for what fetch keeps for itself."""
    return {
        path.as_posix(): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file() and (path := each.relative_to(folder)).parts[0] != ".kiln-fetch"
    }


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with running(HubServer({**model_files(), **SUPERFLUOUS})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server
