"""Finding a model folder, and refusing what could not be served."""

import json
import shutil
from pathlib import Path

import pytest

from model.embedded import PIPELINE_FOLDER
from model.errors import ModelNotLoadable
from model.pipelines.location import UNSAFE_SUFFIXES, locate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The least that passes for a diffusers folder."""
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/weights.safetensors").write_bytes(b"0123")
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "SomePipeline"}))
    return tmp_path


def test_the_embedded_model_is_there() -> None:
    found = locate("embedded://")
    assert found.path == PIPELINE_FOLDER
    assert found.pipeline == "StableDiffusionPipeline"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_is_found_by_path_and_by_file_address(folder: Path, scheme: str) -> None:
    found = locate(f"{scheme}{folder}")
    assert found.path == folder
    assert found.pipeline == "SomePipeline"


def test_a_tilde_is_the_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert locate(f"~/{folder.name}").path == folder


def test_the_revision_follows_the_content(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = tmp_path_factory.mktemp("copy") / "model"
    shutil.copytree(folder, copy)
    before = locate(str(folder)).revision
    assert locate(str(copy)).revision == before
    (copy / "generation_config.json").write_text("{}")
    assert locate(str(copy)).revision != before
    (folder / "unet/weights.safetensors").write_bytes(b"012345")
    assert locate(str(folder)).revision != before


def test_a_folder_in_the_hubs_cache_has_its_commit_for_a_revision(folder: Path) -> None:
    commit = "0f" * 20
    snapshot = folder.parent / f"hub-{folder.name}" / "snapshots" / commit
    shutil.copytree(folder, snapshot)
    assert locate(str(snapshot)).revision == commit


@pytest.mark.parametrize("missing", ["nowhere", "file://nowhere", "model_index.json"])
def test_a_missing_folder_is_named(folder: Path, missing: str) -> None:
    address = missing.replace("nowhere", str(folder / "nowhere"))
    with pytest.raises(ModelNotLoadable, match="no such folder") as refused:
        locate(address if "nowhere" in missing else str(folder / missing))
    assert str(folder) in str(refused.value)


def test_a_folder_without_an_index_says_how_to_make_one(folder: Path) -> None:
    (folder / "model_index.json").unlink()
    with pytest.raises(ModelNotLoadable, match=r"no model_index\.json.*save_pretrained"):
        locate(str(folder))


@pytest.mark.parametrize(
    ("index", "problem"),
    [
        ("{", "cannot be read"),
        ("[]", "not a JSON object"),
        ("{}", "names no _class_name"),
        ('{"_class_name": 3}', "names no _class_name"),
    ],
)
def test_a_broken_index_is_refused(folder: Path, index: str, problem: str) -> None:
    (folder / "model_index.json").write_text(index)
    with pytest.raises(ModelNotLoadable, match=problem):
        locate(str(folder))


@pytest.mark.parametrize("suffix", UNSAFE_SUFFIXES)
def test_pickled_weights_are_refused_with_the_way_to_convert_them(
    folder: Path, suffix: str
) -> None:
    (folder / "unet/weights.safetensors").rename(folder / f"unet/weights{suffix}")
    with pytest.raises(ModelNotLoadable, match=rf"unet/weights\{suffix} may run code; convert"):
        locate(str(folder))


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "unet/weights.safetensors").unlink()
    with pytest.raises(ModelNotLoadable, match="no safetensors weights"):
        locate(str(folder))


@pytest.mark.parametrize("address", ["s3://bucket/model", "http://host/model", "embeded://"])
def test_an_unknown_scheme_is_refused_with_those_that_are_known(address: str) -> None:
    with pytest.raises(ModelNotLoadable, match="unknown scheme; use embedded://"):
        locate(address)


def test_a_missing_component_is_named(folder: Path) -> None:
    """diffusers would say that there is no config.json, and not whose."""
    index = {
        "_class_name": "SomePipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelNotLoadable, match=r"the folder of its component 'vae' is missing"):
        locate(str(folder))
    (folder / "vae").mkdir()
    assert locate(str(folder)).pipeline == "SomePipeline"


def test_what_was_fetched_from_the_hub_has_its_commit_as_revision(folder: Path) -> None:
    before = locate(str(folder)).revision
    record = folder / ".kiln-fetch/record.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"source": "s3://art/fox", "revision": "e2", "files": {}}))
    assert locate(str(folder)).revision == before, "of a bucket, the content tells"
    record.write_text(json.dumps({"source": "hf://art/fox", "revision": "c0", "files": {}}))
    assert locate(str(folder)).revision == "c0"
