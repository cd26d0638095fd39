"""The fields themselves: limits, defaults, their documentation, and what is derived from them."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model.contract.warmup import OnFailure, WarmupMode
from model.settings import Settings

SERVED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SHORTEST_DESCRIPTION = 20


def problem_of(**values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings(**values)
    return str(caught.value)


def test_w01_the_default_is_server_based_warmup() -> None:
    assert Settings().warmup_mode is WarmupMode.SERVER


@pytest.mark.parametrize("mode", list(WarmupMode))
def test_w01_every_mode_is_accepted_by_its_name(mode: WarmupMode) -> None:
    assert Settings.model_validate({"warmup_mode": mode.value}).warmup_mode is mode


def test_w01_a_mode_that_does_not_exist_lists_those_that_do() -> None:
    problem = problem_of(warmup_mode="sometimes")
    assert all(mode.value in problem for mode in WarmupMode)


def test_a_failed_warmup_ends_the_process_unless_told_otherwise() -> None:
    assert Settings().warmup_on_failure is OnFailure.ABORT


def test_settings_cannot_change_after_the_start() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.http_port = 9  # type: ignore[misc]


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_field_is_documented_and_belongs_to_a_group(name: str) -> None:
    info = Settings.model_fields[name]
    assert len(info.description or "") >= SHORTEST_DESCRIPTION
    assert (info.description or "").endswith(".")
    assert isinstance(info.json_schema_extra, dict)
    assert info.json_schema_extra["group"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http_port", -1),
        ("http_port", 65536),
        ("grpc_port", 65536),
        ("torch_threads", -1),
        ("warmup_steps", 0),
        ("warmup_request_timeout", 0),
        ("startup_timeout", float("inf")),
        ("startup_timeout", float("nan")),
        ("gate_hold", -0.1),
        ("gate_hold", float("nan")),
        ("queue_size", 0),
        ("max_body_bytes", 1023),
        ("device", "gpu"),
        ("device", "cuda:"),
        ("device", "cpu\n"),
        ("dtype", "int8"),
        ("output_format", "gif"),
        ("log_level", "loud"),
        ("model_name", "a/b"),
        ("model_name", ".hidden"),
        ("model_name", "x" * 101),
        ("model_name", "fox\n"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_the_name_of_its_field(name: str, value: Any) -> None:
    assert name in problem_of(**{name: value})


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:3", "mps"])
def test_devices_are_spelled_as_in_torch(device: str) -> None:
    assert Settings(device=device).device == device


def test_w03_an_unknown_field_is_refused() -> None:
    assert "warmup_mod" in problem_of(warmup_mod="off")


def test_ports_must_differ() -> None:
    problem = problem_of(http_port=9000, grpc_port=9000)
    assert "http_port and grpc_port are both 9000" in problem


def test_equal_ports_are_fine_where_they_cannot_collide() -> None:
    assert Settings(http_port=0, grpc_port=0).http_port == 0
    assert Settings(http_port=9000, grpc_port=9000, enable_grpc=False).http_port == 9000


@pytest.mark.parametrize("role", ["encoder", "denoiser", "decoder"])
def test_w05_a_role_cannot_be_without_the_port_of_its_stages(role: str) -> None:
    problem = problem_of(role=role, enable_grpc=False)
    assert f"enable_grpc: a server of role {role} gets its work over gRPC" in problem


@pytest.mark.parametrize("given_file", ["ssl_certfile", "ssl_keyfile"])
def test_tls_needs_both_files(given_file: str, tmp_path: Path) -> None:
    file = tmp_path / "one.pem"
    file.touch()
    assert "ssl_certfile and ssl_keyfile go together" in problem_of(**{given_file: file})


def test_tls_files_must_exist(tmp_path: Path) -> None:
    there, missing = tmp_path / "there.pem", tmp_path / "missing.pem"
    there.touch()
    assert "missing.pem" in problem_of(ssl_certfile=there, ssl_keyfile=missing)
    assert "missing.pem" in problem_of(ssl_certfile=missing, ssl_keyfile=there)


def test_tls_is_on_with_both_files(tmp_path: Path) -> None:
    file = tmp_path / "both.pem"
    file.touch()
    assert Settings(ssl_certfile=file, ssl_keyfile=file).tls
    assert not Settings().tls


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("embedded://", "embedded"),
        ("/mnt/models", "models"),
        ("/mnt/models/", "models"),
        ("models/sdxl-turbo", "sdxl-turbo"),
        ("hf://stabilityai/sdxl-turbo", "sdxl-turbo"),
        ("hf://stabilityai/sdxl-turbo@main", "sdxl-turbo"),
        ("hf://stabilityai/sdxl-turbo@refs/pr/1", "sdxl-turbo"),
        ("/home/me@work/fox", "fox"),
        ("/models/my fox", "my-fox"),
        ("/models/.cache", "cache"),
        ("/models/狐", "model"),
        ("..", "model"),
        ("", "model"),
    ],
)
def test_the_served_name_follows_from_the_model(model: str, name: str) -> None:
    assert Settings(model=model).served_name == name


def test_a_given_name_is_served_as_it_is() -> None:
    assert Settings(model="/mnt/models", model_name="fox").served_name == "fox"


@given(st.text())
def test_the_served_name_always_fits_a_url(model: str) -> None:
    assert SERVED_NAME.fullmatch(Settings(model=model).served_name)


@given(st.text(max_size=120))
def test_a_model_name_is_refused_or_fits_a_url(name: str) -> None:
    try:
        accepted = Settings(model_name=name).model_name
    except ValidationError:
        assert not SERVED_NAME.fullmatch(name)
    else:
        assert accepted == "" or SERVED_NAME.fullmatch(accepted)


def test_w42_loras_are_names_and_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    for each in (one, two):
        each.touch()
    both = {"one": one, "line-art": two}
    text = f"one={one}, line-art={two}"
    assert Settings(loras=text).loras == both
    assert Settings(loras=both).loras == both
    assert Settings(loras="").loras == Settings().loras == {}
    assert Settings(loras=text).model_dump(mode="json")["loras"] == f"one={one},line-art={two}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("style", "must be NAME=FILE"),
        ("style=", "must be NAME=FILE"),
        ("a=x.safetensors,a=y.safetensors", "names a twice"),
        ("a.b=x.safetensors", "'a.b' must be letters, digits"),
        ("a=missing.safetensors", "a: there is no safetensors file 'missing.safetensors'"),
        ("a=pyproject.toml", "a: there is no safetensors file 'pyproject.toml'"),
        (["a"], "must be NAME=FILE, or a mapping"),
    ],
)
def test_w42_a_lora_that_is_no_file_is_refused_by_name(given: Any, words: str) -> None:
    problem = problem_of(loras=given)
    assert "\nloras\n" in problem
    assert words in problem


def test_w21_ranks_are_two_with_cfg_parallel_and_need_two_devices() -> None:
    assert (Settings().ranks, Settings(cfg_parallel=True).ranks) == (1, 2)
    assert "mps is one; leave it out" in problem_of(cfg_parallel=True, device="mps")
