"""Starts that cannot succeed: each ends with its own exit status and a message that says why."""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.faults.drills import assert_failed
from tests.integration.support.server import ServerProcess

Start = Callable[..., ServerProcess]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Somebody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize(("flag", "what"), [("--http-port", "HTTP"), ("--grpc-port", "gRPC")])
def test_a_port_in_use(start_server: Start, taken_port: int, flag: str, what: str) -> None:
    server = start_server(flag, str(taken_port))
    assert_failed(server, 3, f"the {what} port {taken_port}", f"by {flag}")
    assert server.engine() is None
    assert server.events() == [], "it ended before anything began"


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def no_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def truncated_weights(folder: Path) -> None:
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def no_component(folder: Path) -> None:
    shutil.rmtree(folder / "vae")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (no_folder, ["there is no such folder"]),
        (no_index, ["no model_index.json", "save_pretrained"]),
        (
            truncated_weights,
            ["StableDiffusionPipeline cannot be loaded", "unet/diffusion_pytorch_model"],
        ),
        (no_component, ["the folder of its component 'vae' is missing"]),
    ],
)
def test_a_model_that_does_not_load(
    start_server: Start, pipeline_copy: Path, damage: Callable[[Path], None], words: list[str]
) -> None:
    damage(pipeline_copy)
    server = start_server("--model", str(pipeline_copy))
    assert_failed(server, 4, *words)
    assert "ready" not in [each["now"] for each in server.events("state")]


def test_w23_a_start_that_takes_too_long(start_server: Start) -> None:
    server = start_server("--startup-timeout", "1")
    assert_failed(server, 8, "not Ready after --startup-timeout 1 s", "loading")


@pytest.mark.parametrize(
    ("flags", "environment", "config", "words"),
    [
        (["--warmup-mod", "off"], {}, "", ["--warmup-mod", "did you mean --warmup-mode?"]),
        ([], {"KILN_HTTP_PROT": "80"}, "", ["KILN_HTTP_PROT", "did you mean KILN_HTTP_PORT?"]),
        ([], {}, "warmup_mod: off", ["warmup_mod", "did you mean warmup_mode?"]),
    ],
    ids=["flag", "environment", "config"],
)
def test_w03_an_unknown_name_is_refused_with_the_one_that_was_meant(
    start_server: Start,
    tmp_path: Path,
    flags: list[str],
    environment: dict[str, str],
    config: str,
    words: list[str],
) -> None:
    if config:
        file = tmp_path / "kiln.yaml"
        file.write_text(config)
        flags = ["--config", str(file)]
    server = start_server(*flags, environment=environment)
    assert server.wait_exit() == 2
    for word in words:
        assert word in server.log()
