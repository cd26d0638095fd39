"""W11: what a pipeline's components say of sizes; and which device and task it is for."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from diffusers import DiffusionPipeline

from model.contract.sampling import FrameContract, Task
from model.embedded import PIPELINE_FOLDER
from model.errors import ModelNotLoadable
from model.pipelines import families
from model.pipelines.families import UNKNOWN, Family, PipelineClass, family_of
from model.pipelines.loader import (
    _by_task,
    alignment,
    frame_contract,
    load,
    native_size,
    resolve_device,
    vae_factor,
)
from model.pipelines.location import locate


def pipeline(**known: Any) -> Any:
    """With the attributes that are named and no others; ``unet`` and ``transformer`` have what is
    given as their configuration."""
    for name in ("unet", "transformer"):
        if name in known:
            known[name] = SimpleNamespace(config=SimpleNamespace(**known[name]))
    return SimpleNamespace(**known)


@pytest.mark.parametrize(
    ("found", "size"),
    [
        (pipeline(unet={"sample_size": 64}, vae_scale_factor=8), (512, 512)),
        (pipeline(unet={"sample_size": [96, 128]}, vae_scale_factor=8), (1024, 768)),
        (pipeline(transformer={"sample_size": 128}, vae_scale_factor=8), (1024, 1024)),
        (pipeline(default_sample_size=9, unet={"sample_size": 4}, vae_scale_factor=8), (72, 72)),
        (pipeline(default_sample_size=128, transformer={}, vae_scale_factor=8), (1024, 1024)),
        (pipeline(transformer={}, vae_scale_factor=8), None),
        (pipeline(unet={"sample_size": None}, vae_scale_factor=8), None),
        (pipeline(), None),
    ],
)  # fmt: skip
def test_w11_the_native_size_is_the_denoisers_in_pixels(found: Any, size: Any) -> None:
    """(width, height); diffusers writes pairs as (height, width)."""
    assert native_size(found) == size


@pytest.mark.parametrize(
    ("found", "pixels"),
    [
        (pipeline(unet={}, vae_scale_factor=8), 16),
        (pipeline(transformer={"patch_size": 2}, vae_scale_factor=8), 16),
        (pipeline(transformer={"patch_size": 2}, vae_scale_factor=16), 32),
        (pipeline(transformer={"patch_size": [1, 4, 4]}, vae_scale_factor=8), 32),
        (pipeline(unet={}, vae_scale_factor=32), 32),
        (pipeline(unet={}, vae_scale_factor=2), 16),
        (pipeline(transformer={"patch_size": None}, vae_scale_factor=8), 16),
        (pipeline(transformer={"patch_size": [1, 2, 2]}, vae_scale_factor_spatial=16), 32),
        (pipeline(transformer={"patch_size": 1}, vae_spatial_compression_ratio=32), 32),
        (pipeline(), 16),
    ],
)
def test_w11_alignment_is_16_or_what_vae_and_patch_need(found: Any, pixels: int) -> None:
    assert alignment(found, UNKNOWN) == pixels


def test_w11_a_family_may_need_more() -> None:
    assert alignment(pipeline(vae_spatial_compression_ratio=8), family_of("LTXPipeline")) == 32


@pytest.mark.parametrize(
    ("found", "name", "contract"),
    [
        (pipeline(vae_scale_factor_temporal=4), "WanPipeline", FrameContract(4)),
        (pipeline(vae_temporal_compression_ratio=2), "LTXPipeline", FrameContract(2)),
        (pipeline(), "LTXPipeline", FrameContract(8)),
        (pipeline(), "MysteryPipeline", FrameContract(1)),
    ],
)
def test_w11_the_frame_contract_is_the_vaes_or_the_familys(
    found: Any, name: str, contract: FrameContract
) -> None:
    assert frame_contract(found, family_of(name), Task.TEXT_TO_VIDEO) == contract
    assert frame_contract(found, family_of(name), Task.TEXT_TO_IMAGE) is None


def test_a_pipeline_that_does_not_say_has_the_usual_vae() -> None:
    assert vae_factor(pipeline()) == 8


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("gpu", "expected"), [(True, "cuda:0"), (False, "cpu")])
def test_auto_is_the_first_gpu_or_the_cpu(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert resolve_device("auto") == torch.device(expected)


@pytest.mark.parametrize(("device", "there"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, there: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    with pytest.raises(ModelNotLoadable, match=rf"'{device}' is not there: torch sees {there} GPU"):
        resolve_device(device)


class Lead(DiffusionPipeline):
    """Lends its components to ``Sibling``."""

    def __init__(self, unet: Any, text_encoder: Any, flag: bool = False) -> None:
        super().__init__()
        self.register_modules(unet=unet, text_encoder=text_encoder)
        self.register_to_config(flag=flag)


class Sibling(DiffusionPipeline):
    _optional_components = ("helper",)

    def __init__(self, unet: Any, text_encoder: Any, helper: Any) -> None:
        super().__init__()
        self.register_modules(unet=unet, text_encoder=text_encoder, helper=helper)


@pytest.mark.parametrize(
    ("encoder", "flag", "wanted_flag", "needs", "offered"),
    [
        (True, False, "", (), True),
        (False, False, "", (), False),
        (True, False, "flag", (), False),
        (True, True, "flag", (), True),
        (True, False, "", ("torch",), True),
        (True, False, "", ("no_such_package_at_all",), False),
    ],
)
def test_w53_a_sibling_is_offered_where_all_that_it_needs_is_there(
    monkeypatch: pytest.MonkeyPatch,
    encoder: bool,
    flag: bool,
    wanted_flag: str,
    needs: tuple[str, ...],
    offered: bool,
) -> None:
    """Its components, its flag, and its packages."""
    own = PipelineClass((Task.TEXT_TO_IMAGE,))
    other = PipelineClass((Task.IMAGE_TO_IMAGE,), sibling=True, sibling_if=wanted_flag, needs=needs)
    family = Family("test", {"Lead": own, "Sibling": other})
    monkeypatch.setattr(families, "FAMILIES", (family,))
    monkeypatch.setattr(diffusers, "Sibling", Sibling, raising=False)
    lead = Lead(torch.nn.Identity(), torch.nn.Identity() if encoder else None, flag)
    found = _by_task(lead, own.tasks, "Lead")
    assert found.keys() == {Task.TEXT_TO_IMAGE} | ({Task.IMAGE_TO_IMAGE} if offered else set())
    assert found[Task.TEXT_TO_IMAGE] is lead
    if offered:
        assert found[Task.IMAGE_TO_IMAGE].unet is lead.unet


def test_w53_a_package_that_is_missing_is_named_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = PipelineClass((Task.TEXT_TO_IMAGE,), needs=("torch", "no_such_package_at_all"))
    family = Family("test", {"StableDiffusionPipeline": facts})
    monkeypatch.setattr(families, "FAMILIES", (family,))
    with pytest.raises(ModelNotLoadable, match="needs the Python package no_such_package_at_all,"):
        load(locate("embedded://"), "cpu", "auto")


def corrupt(weights: bytes) -> bytes:
    """As long as before, and nonsense."""
    return b"\xff" * len(weights)


def truncate(weights: bytes) -> bytes:
    return weights[:-1000]


def empty(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [corrupt, truncate, empty])
@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_broken_weights_are_told_by_the_folders_name(
    tmp_path: Path, damage: Callable[[bytes], bytes], part: str
) -> None:
    """diffusers reads the one, transformers the other, and each raises errors of its own."""
    copy = Path(shutil.copytree(PIPELINE_FOLDER, tmp_path / "broken"))
    (weights,) = (copy / part).glob("*.safetensors")
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(ModelNotLoadable, match="cannot be loaded from 'broken'"):
        load(locate(str(copy)), "cpu", "auto")
