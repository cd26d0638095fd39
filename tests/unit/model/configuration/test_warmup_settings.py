"""W04 and W05: the settings of the plan, from every source, and what contradicts them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from model.configuration.names import FIELDS
from model.configuration.resolve import NEEDED_MODES
from model.contract.roles import DISAGGREGATED
from model.contract.sampling import Task
from model.contract.warmup import Resolution, UnwarmedShapes, WarmupMode
from model.errors import InvalidSettings
from model.setting_values import OVERRIDES
from tests.unit.model.configuration.support import (
    SOURCES,
    ConfigFile,
    combined,
    from_source,
    refusal,
    resolved,
)

BOTH = (Resolution(1024, 1024), Resolution(768, 1344))
PLAN = {
    "warmup_resolutions": "1024x1024",
    "warmup_num_frames": "17",
    "warmup_batch_sizes": "2",
    "warmup_tasks": "inpainting",
    "warmup_sampling_params": "{}",
    "warmup_steps": "4",
}

# What is written in a flag or a variable, what a file may have in its place, and what it means.
WRITTEN = [
    ("warmup_resolutions", "1024x1024,768x1344", ["1024x1024", "768x1344"], BOTH),
    ("warmup_resolutions", " 1024x1024 , 768x1344 ", "1024x1024,768x1344", BOTH),
    ("warmup_resolutions", "64x64,64x64", ["64x64", "64x64"], (Resolution(64, 64),)),
    ("warmup_resolutions", "", [], ()),
    ("warmup_num_frames", "17", 17, 17),
    ("warmup_steps", "4", 4, 4),
    ("warmup_batch_sizes", "1,2,4", [1, 2, 4], (1, 2, 4)),
    ("warmup_batch_sizes", "2", 2, (2,)),
    (
        "warmup_tasks",
        "text-to-image,image-to-image",
        ["text-to-image", "image-to-image"],
        (Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE),
    ),
    (
        "warmup_sampling_params",
        '{"guidance_scale": 5, "negative_prompt": "ugly"}',
        {"guidance_scale": 5, "negative_prompt": "ugly"},
        {"guidance_scale": 5, "negative_prompt": "ugly"},
    ),
    ("unwarmed_shapes", "reject", "reject", UnwarmedShapes.REJECT),
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("name", "text", "native", "meaning"), WRITTEN)
def test_w04_every_source_may_say_it(
    source: str, name: str, text: str, native: Any, meaning: Any, config_file: ConfigFile
) -> None:
    found = combined(from_source(source, {name: text}, config_file))
    assert getattr(found.settings, name) == meaning
    assert found.sources[name].split()[0] == source.replace("file", "config")


@pytest.mark.parametrize("file", ["kiln.yaml", "kiln.json"])
@pytest.mark.parametrize(("name", "text", "native", "meaning"), WRITTEN)
def test_w04_a_file_has_lists_and_mappings(
    file: str, name: str, text: str, native: Any, meaning: Any, config_file: ConfigFile
) -> None:
    found = resolved("--config", config_file({name: native}, file))
    assert getattr(found.settings, name) == meaning


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("warmup_resolutions", "1024", "'1024' is no resolution; write WIDTHxHEIGHT"),
        ("warmup_resolutions", "1024x1024,", "'' is no resolution"),
        ("warmup_resolutions", "1024x", "'1024x' is no resolution"),
        ("warmup_resolutions", "0x64", "'0x64' is no resolution"),
        ("warmup_resolutions", "64*64", "'64*64' is no resolution"),
        ("warmup_num_frames", "0", "greater than or equal to 1"),
        ("warmup_num_frames", "-3", "greater than or equal to 1"),
        ("warmup_num_frames", "many", "valid integer"),
        ("warmup_steps", "0", "greater than or equal to 1"),
        ("warmup_batch_sizes", "0", "greater than or equal to 1"),
        ("warmup_batch_sizes", "1,x", "valid integer"),
        ("warmup_batch_sizes", "", "at least 1 item"),
        ("warmup_tasks", "painting", "'text-to-image'"),
        ("warmup_sampling_params", "{guidance: 5}", "is not JSON"),
        ("warmup_sampling_params", "[1]", "must be a JSON object"),
        ("warmup_sampling_params", "5", "must be a JSON object"),
        ("warmup_sampling_params", '{"z": 1, "a": 2, "fps": 8}', "unknown are a, z; known are"),
        ("warmup_sampling_params", '{"width": 64}', "use warmup_resolutions instead"),
        ("warmup_sampling_params", '{"num_frames": 5}', "use warmup_num_frames instead"),
        ("warmup_sampling_params", '{"guidance_scale": "x"}', "guidance_scale must be a finite"),
        ("warmup_sampling_params", '{"guidance_scale": true}', "guidance_scale must be a finite"),
        ("warmup_sampling_params", '{"guidance_scale": NaN}', "guidance_scale must be a finite"),
        ("warmup_sampling_params", '{"negative_prompt": 5}', "negative_prompt must be text"),
        ("unwarmed_shapes", "sometimes", "'allow' or 'reject'"),
    ],
)
@pytest.mark.parametrize("source", SOURCES)
def test_w04_what_is_wrong_is_refused_by_name_and_source(
    source: str, name: str, text: str, problem: str, config_file: ConfigFile
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        combined(from_source(source, {name: text}, config_file))
    assert f"{name} ({source.replace('file', 'config file')}" in str(caught.value)
    assert problem in str(caught.value)
    assert caught.value.exit_code == 2


def test_w04_what_may_be_overridden_is_told_sorted() -> None:
    assert f"known are {', '.join(OVERRIDES)}" in refusal("--warmup-sampling-params", '{"x": 1}')
    assert list(OVERRIDES) == sorted(OVERRIDES)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--warmup-resolutions", "64x64,4096x4096"], "warmup_resolutions: 4096x4096 has 16777216"),
        (["--warmup-batch-sizes", "1,17"], "warmup_batch_sizes: 17 is above max_images 16"),
        (["--warmup-report-path", "/nowhere/report.json"], "must be a file in a folder that"),
        (["--warmup-report-path", "/"], "warmup_report_path: '/' must be a file"),
    ],
)
def test_w04_what_no_request_may_have_is_refused_before_anything_starts(
    flags: list[str], problem: str
) -> None:
    assert problem in refusal(*flags)


def test_w04_larger_plans_are_for_those_who_raise_the_limits(tmp_path: Path) -> None:
    found = resolved(
        *("--warmup-resolutions", "4096x4096", "--max-pixels", str(4096 * 4096)),
        *("--warmup-batch-sizes", "17", "--max-images", "17"),
        *("--warmup-report-path", str(tmp_path / "report.json")),
    )
    assert found.settings.warmup_resolutions == (Resolution(4096, 4096),)


def test_w04_print_config_shows_them_as_they_are_written() -> None:
    found = resolved(*(part for name, text in PLAN.items() for part in (f"--{name}", text)))
    rows = {line.split()[0]: line.split()[1:] for line in found.table().splitlines()}
    assert rows["warmup_resolutions"] == ['"1024x1024"', "flag"]
    assert rows["warmup_batch_sizes"] == ['"2"', "flag"]
    assert rows["warmup_sampling_params"] == ["{}", "flag"]
    assert set(rows) == set(FIELDS)


# -- W02: an explicit off is never overridden --------------------------------------------------


@pytest.mark.parametrize("name", list(PLAN))
@pytest.mark.parametrize("off", [{"warmup_mode": "off"}, {"warmup": "false"}])
@pytest.mark.parametrize("source", SOURCES)
def test_w02_a_plan_for_no_warmup_is_a_contradiction(
    source: str, off: Mapping[str, str], name: str, config_file: ConfigFile
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        combined(
            from_source(source, off, config_file),
            {"flags": [f"--{name}", PLAN[name]]},
        )
    assert f"{name} (flag): nothing would be warmed by it" in str(caught.value)
    assert f"warmup_mode is off ({source.replace('file', 'config file')}" in str(caught.value)


def test_w02_the_first_requests_copy_has_no_plan_but_steps() -> None:
    problem = refusal("--warmup-mode", "request", "--warmup-resolutions", "64x64")
    assert "warmup_mode is request (flag)" in problem
    found = resolved("--warmup-mode", "request", "--warmup-steps", "4")
    assert found.settings.warmup_mode is WarmupMode.REQUEST


@pytest.mark.parametrize("mode", ["off", "request"])
def test_w40_to_reject_what_is_not_warm_needs_something_warm(mode: str) -> None:
    problem = refusal("--unwarmed-shapes", "reject", "--warmup-mode", mode)
    assert "unwarmed_shapes (flag): reject would refuse every request" in problem


def test_every_setting_of_the_plan_is_checked_against_the_mode() -> None:
    of_the_plan = {name for name in FIELDS if name.startswith("warmup_")}
    apart = {"warmup_mode", "warmup_on_failure", "warmup_request_timeout"}
    assert set(NEEDED_MODES) == of_the_plan - apart


# -- W05: roles ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["encoder", "denoiser", "decoder"])
def test_w05_a_workers_warmup_is_off_and_says_why(role: str) -> None:
    found = resolved("--role", role)
    assert found.settings.warmup_mode is WarmupMode.OFF
    assert found.sources["warmup_mode"] == DISAGGREGATED
    assert found.warnings == ()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("spelling", [{"warmup_mode": "server"}, {"warmup": "true"}])
def test_w05_an_explicit_server_there_is_switched_off_with_a_warning(
    source: str, spelling: Mapping[str, str], config_file: ConfigFile
) -> None:
    found = combined({"flags": ["--role", "denoiser"]}, from_source(source, spelling, config_file))
    assert found.settings.warmup_mode is WarmupMode.OFF
    assert found.sources["warmup_mode"] == DISAGGREGATED
    (warning,) = found.warnings
    assert f"warmup_mode server ({source.replace('file', 'config file')}" in warning
    assert "is switched off: a server of role denoiser" in warning


def test_w05_an_explicit_off_there_is_the_roles_and_needs_no_warning() -> None:
    found = resolved("--role", "decoder", "--warmup-mode", "off")
    mode, source = found.settings.warmup_mode, found.sources["warmup_mode"]
    assert (mode, source, found.warnings) == (WarmupMode.OFF, DISAGGREGATED, ())


def test_w05_a_plan_there_has_no_meaning_and_a_warning() -> None:
    (warning,) = resolved("--role", "decoder", "--warmup-resolutions", "64x64").warnings
    assert "warmup_resolutions (flag) has no meaning here" in warning


@pytest.mark.parametrize("role", ["monolithic", "router"])
def test_w05_who_serves_users_keeps_its_warmup(role: str) -> None:
    found = resolved("--role", role)
    assert (found.settings.warmup_mode, found.sources["warmup_mode"]) == (
        WarmupMode.SERVER,
        "default",
    )


def test_w04_a_files_native_values_and_a_flags_text_are_the_same(config_file: ConfigFile) -> None:
    path = config_file({name: native for name, _, native, _ in WRITTEN[::2]})
    text = [part for name, text, _, _ in WRITTEN[::2] for part in (f"--{name}", text)]
    assert resolved("--config", path).settings == resolved(*text).settings
