"""W10 and W11: where the values of a request that names none come from."""

import json
from pathlib import Path
from typing import Any

import pytest

from model.errors import ModelNotLoadable
from model.pipelines.defaults import BASE, resolve_defaults
from model.pipelines.families import UNKNOWN, Family, family_of

FAMILY = Family("test", {}, {"num_inference_steps": 50, "guidance_scale": 7.5, "width": 768})


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).write_text(json.dumps(content))


def test_w10_the_base_is_the_last_resort(tmp_path: Path) -> None:
    found = resolve_defaults(tmp_path, UNKNOWN, None)
    assert found.values() == BASE
    assert found.sources == dict.fromkeys(BASE, "base")


def test_w10_a_video_has_frames_and_a_rate(tmp_path: Path) -> None:
    found = resolve_defaults(tmp_path, UNKNOWN, None, video=True)
    assert (found.num_frames, found.fps) == (17, 16.0)
    assert found.sources["num_frames"] == found.sources["fps"] == "base"


@pytest.mark.parametrize(("flag", "steps"), [(True, 4), (False, 50), (None, 50), (1, 50)])
def test_w10_some_defaults_hang_on_a_flag_of_the_pipeline(
    tmp_path: Path, flag: Any, steps: int
) -> None:
    write(tmp_path, "model_index.json", {} if flag is None else {"is_distilled": flag})
    found = resolve_defaults(tmp_path, family_of("Flux2KleinPipeline"), None)
    assert found.num_inference_steps == steps
    assert found.width == 1024
    assert found.sources["num_inference_steps"] == "family flux-2-klein"


def test_w11_the_fallback_size_is_512(tmp_path: Path) -> None:
    found = resolve_defaults(tmp_path, UNKNOWN, None)
    assert (found.width, found.height) == (512, 512)


def test_w10_each_more_specific_source_wins(tmp_path: Path) -> None:
    """One value from each rank; every source above it says something else about that value."""
    write(tmp_path, "model_index.json", {"guidance_scale": 3.0, "height": 640})
    write(tmp_path, "generation_config.json", {"height": 320})
    found = resolve_defaults(tmp_path, FAMILY, (1024, 1024))
    assert found.sources == {
        "num_inference_steps": "family test",
        "width": "model components",
        "height": "model folder",
        "guidance_scale": "model folder",
    }
    assert found.num_inference_steps == 50
    assert found.width == 1024
    assert found.height == 320, "generation_config.json goes before model_index.json"
    assert found.guidance_scale == 3.0


def test_w10_the_family_goes_before_the_base(tmp_path: Path) -> None:
    found = resolve_defaults(tmp_path, FAMILY, None)
    assert (found.width, found.sources["width"]) == (768, "family test")
    assert (found.height, found.sources["height"]) == (512, "base")


def test_w11_the_native_size_is_taken_in_full_and_in_order(tmp_path: Path) -> None:
    found = resolve_defaults(tmp_path, UNKNOWN, (1344, 768))
    assert (found.width, found.height) == (1344, 768)


def test_w10_null_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, "generation_config.json", {"width": None, "guidance_scale": None})
    found = resolve_defaults(tmp_path, UNKNOWN, None)
    assert found.values() == BASE


def test_w10_zero_guidance_and_an_empty_negative_prompt_are_values(tmp_path: Path) -> None:
    write(tmp_path, "generation_config.json", {"guidance_scale": 0, "negative_prompt": ""})
    found = resolve_defaults(tmp_path, FAMILY, None)
    assert found.guidance_scale == 0
    assert found.negative_prompt == ""


def test_w10_other_keys_of_the_folder_are_not_ours(tmp_path: Path) -> None:
    write(tmp_path, "model_index.json", {"_class_name": "X", "vae": ["diffusers", "AutoencoderKL"]})
    write(tmp_path, "generation_config.json", {"sources": {"a": "b"}, "top_p": 1})
    assert resolve_defaults(tmp_path, UNKNOWN, None).values() == BASE


@pytest.mark.parametrize("file", ["generation_config.json", "model_index.json"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 0),
        ("height", -16),
        ("width", 512.0),
        ("num_inference_steps", True),
        ("num_inference_steps", "8"),
        ("max_sequence_length", [77]),
        ("guidance_scale", "7.5"),
        ("true_cfg_scale", False),
        ("strength", {}),
        ("negative_prompt", 3),
        ("num_frames", 17.0),
        ("fps", "16"),
    ],
)
def test_w10_a_bad_value_is_refused_by_file_and_name(
    tmp_path: Path, file: str, name: str, value: Any
) -> None:
    write(tmp_path, file, {name: value})
    with pytest.raises(ModelNotLoadable, match=rf"{file} of the model: {name} must be"):
        resolve_defaults(tmp_path, UNKNOWN, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[1]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
    ],
)
def test_w10_a_file_that_is_no_json_object_is_refused(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "generation_config.json").write_bytes(content)
    with pytest.raises(ModelNotLoadable, match=rf"generation_config\.json.*{problem}"):
        resolve_defaults(tmp_path, UNKNOWN, None)
