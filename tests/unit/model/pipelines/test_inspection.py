"""What a folder tells before anything is loaded, and that the loaded model says the same."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.contract.sampling import FrameContract, Task
from model.pipelines.inspection import call_of, describe_folder
from model.pipelines.loader import load
from model.pipelines.location import ModelFolder, locate

T2I, I2I, T2V, I2V = (
    Task.TEXT_TO_IMAGE,
    Task.IMAGE_TO_IMAGE,
    Task.TEXT_TO_VIDEO,
    Task.IMAGE_TO_VIDEO,
)
# The facts of published models, as their config.json files have them.
FLUX_VAE = {"block_out_channels": [128, 256, 512, 512]}
QWEN_VAE = {"temperal_downsample": [False, True, True]}
WAN_VAE = {"temperal_downsample": [False, True, True], "scale_factor_spatial": 8}
LTX_VAE = {"patch_size": 4, "patch_size_t": 1, "spatio_temporal_scaling": [True, True, True, False]}


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """Makes a folder of configurations and nothing else."""

    def make(pipeline: str, index: dict[str, Any] | None = None, **configs: Any) -> ModelFolder:
        (tmp_path / "model_index.json").write_text(
            json.dumps({"_class_name": pipeline, **(index or {})})
        )
        for component, config in configs.items():
            (tmp_path / component).mkdir()
            (tmp_path / component / "config.json").write_text(json.dumps(config))
        return ModelFolder(tmp_path, pipeline, "abc")

    return make


def test_the_embedded_model_is_described_as_it_is_loaded() -> None:
    found = describe_folder(locate("embedded://"))
    loaded = load(locate("embedded://"), "cpu", "auto").description
    assert replace(found, device=loaded.device, dtype=loaded.dtype) == replace(
        loaded, load_seconds={}
    )


@pytest.mark.parametrize(
    ("pipeline", "configs", "size", "alignment"),
    [
        ("StableDiffusionXLPipeline", {"unet": {"sample_size": 128}, "vae": FLUX_VAE}, 1024, 16),
        ("StableDiffusionPipeline", {"unet": {"sample_size": 64}, "vae": FLUX_VAE}, 512, 16),
        ("FluxPipeline", {"transformer": {"patch_size": 1}, "vae": FLUX_VAE}, 1024, 16),
        ("QwenImagePipeline", {"transformer": {"patch_size": 2}, "vae": QWEN_VAE}, 1024, 16),
        (
            "StableDiffusion3Pipeline",
            {"transformer": {"sample_size": 128, "patch_size": 2}, "vae": FLUX_VAE},
            1024,
            16,
        ),
    ],
)
def test_w11_sizes_follow_from_the_components(
    folder: Any, pipeline: str, configs: dict[str, Any], size: int, alignment: int
) -> None:
    found = describe_folder(folder(pipeline, **configs))
    assert (found.defaults.width, found.defaults.height) == (size, size)
    assert found.alignment == alignment


@pytest.mark.parametrize(
    ("pipeline", "vae", "patch", "tasks", "alignment", "step"),
    [
        ("WanPipeline", WAN_VAE, [1, 2, 2], (T2V, Task.VIDEO_TO_VIDEO), 16, 4),
        ("LTXPipeline", LTX_VAE, 1, (T2V, I2V), 32, 8),
    ],
)
def test_w11_frames_follow_from_the_vae(
    folder: Any,
    pipeline: str,
    vae: dict[str, Any],
    patch: Any,
    tasks: tuple[Task, ...],
    alignment: int,
    step: int,
) -> None:
    found = describe_folder(folder(pipeline, transformer={"patch_size": patch}, vae=vae))
    assert found.tasks == tasks
    assert found.tasks[: found.own_tasks] == (T2V,)
    assert found.alignment == alignment
    assert found.frames == FrameContract(step)
    assert "num_frames" in found.accepted[T2V]


def test_w15_a_class_that_does_both_has_both_tasks(folder: Any) -> None:
    found = describe_folder(folder("FluxKontextPipeline", vae=FLUX_VAE))
    assert found.tasks[: found.own_tasks] == (I2I, T2I)
    assert found.guidance_embedded


def test_a_sibling_that_needs_a_flag_has_it_or_is_left_out(folder: Any) -> None:
    assert I2V not in describe_folder(folder("WanPipeline")).tasks


def test_a_sibling_whose_flag_is_set_is_there(folder: Any) -> None:
    assert I2V in describe_folder(folder("WanPipeline", {"expand_timesteps": True})).tasks


def test_a_class_in_no_table_is_taken_for_text_to_image_and_says_so(folder: Any) -> None:
    found = describe_folder(folder("NobodysPipeline"))
    assert (found.tasks, found.registered) == ((T2I,), False)
    assert "guidance_scale" in found.accepted[T2I], "it may take anything"


def test_a_call_is_read_from_its_source() -> None:
    assert {"prompt", "height", "true_cfg_scale"} <= call_of("QwenImagePipeline")
    assert call_of("NobodysPipeline") == frozenset()


@pytest.mark.parametrize(
    ("index", "transformer", "tasks"),
    [
        ({}, {}, (I2V, Task.FRAMES_TO_VIDEO)),
        ({"expand_timesteps": True}, {}, (I2V,)),
        ({}, {"image_dim": 1280}, (I2V,)),
        ({}, {"image_dim": 1280, "pos_embed_seq_len": 514}, (Task.FRAMES_TO_VIDEO,)),
    ],
)
def test_w15_the_weights_say_what_the_class_does_with_them(
    folder: Any, index: dict[str, Any], transformer: dict[str, Any], tasks: tuple[Task, ...]
) -> None:
    found = describe_folder(folder("WanImageToVideoPipeline", index, transformer=transformer))
    assert (found.tasks, found.own_tasks) == (tasks, len(tasks))


@pytest.mark.parametrize("flag", ["expand_timesteps", "boundary_ratio"])
def test_w15_weights_of_two_denoisers_or_of_times_for_frames_edit_no_videos(
    folder: Any, flag: str
) -> None:
    assert Task.VIDEO_TO_VIDEO not in describe_folder(folder("WanPipeline", {flag: 0.875})).tasks
