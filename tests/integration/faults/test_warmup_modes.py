"""W06 and W25: what a server does whose warmup fails, or that has none, and how it tells."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from safetensors.torch import load_file, save_file

from tests.integration.faults.drills import assert_failed, draw, metric, outcomes
from tests.integration.support.server import MODEL, ServerProcess

Start = Callable[..., ServerProcess]
FAILURE = "took longer than --warmup-request-timeout 0.05"


@pytest.fixture
def failing(slow_model: Path) -> list[str]:
    """Flags of a server whose warmup cannot succeed: hundreds of steps in 50 ms."""
    return [
        *("--model", str(slow_model), "--model-name", MODEL, "--warmup-steps", "400"),
        *("--warmup-request-timeout", "0.05"),
    ]


def test_w23_w25_a_failed_warmup_ends_the_process(start_server: Start, failing: list[str]) -> None:
    server = start_server(*failing)
    assert_failed(server, 5, "text-to-image 128x128", FAILURE)
    assert "ready" not in [each["now"] for each in server.events("state")]


def test_w25_a_model_that_draws_nan_never_turns_ready(
    start_server: Start, pipeline_copy: Path
) -> None:
    weights = pipeline_copy / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["decoder.conv_out.weight"].fill_(float("nan"))
    save_file(tensors, weights)
    server = start_server("--model", str(pipeline_copy))
    assert_failed(server, 5, "text-to-image 128x128", "the pixels hold NaN or infinity")
    assert "ready" not in [each["now"] for each in server.events("state")]


@pytest.mark.parametrize("choice", ["degraded", "ready"])
def test_w25_a_failed_warmup_that_was_allowed_for(
    start_server: Start, failing: list[str], choice: str
) -> None:
    server = start_server(*failing, "--warmup-on-failure", choice).wait_ready()
    metadata = server.metadata()
    ready = server.client.get("/v2/health/ready").json()
    assert metadata["state"] == "ready"
    assert FAILURE in metadata["warmup"]["failure"]
    assert metric(server, "kiln_warmup_failed") == 1
    if choice == "degraded":
        assert FAILURE in metadata["degraded"]
        assert FAILURE in ready["degraded"]
    else:
        assert metadata["degraded"] is None
        assert "degraded" not in ready
    answer = draw(server)
    assert answer.status_code == httpx.codes.OK
    assert answer.json()["parameters"]["cold_shape"] is True, "nothing was proven"
    assert server.terminate() == 0


def test_without_warmup_the_first_user_pays_and_is_told(start_server: Start) -> None:
    server = start_server("--warmup-mode", "off").wait_ready()
    found = server.metadata()["warmup"]
    assert (found["mode"], found["reason"], found["of"]) == ("off", "flag", 0)
    assert "warming" not in [each["now"] for each in server.events("state")]
    assert draw(server).json()["parameters"]["cold_shape"] is True
    assert metric(server, "kiln_cold_shape_requests_total") == 1


def test_w06_a_short_copy_precedes_the_first_user_request(start_server: Start) -> None:
    """And never shows in the users' metrics."""
    server = start_server("--warmup-mode", "request").wait_ready()
    assert server.metadata()["warmup"]["done"] == 0
    answer = draw(server, steps=5)
    assert answer.status_code == httpx.codes.OK
    assert answer.json()["parameters"]["cold_shape"] is False
    found = server.metadata()["warmup"]
    assert (found["mode"], found["done"], found["of"]) == ("request", 1, 1)
    (shape,) = found["shapes"]
    assert (shape["steps"], shape["proven"]) == (2, True)
    assert draw(server, steps=5).status_code == httpx.codes.OK
    assert server.metadata()["warmup"] == found, "once"
    assert outcomes(server, "ok") == 2
    assert metric(server, "kiln_images_total") == 2
    assert metric(server, "kiln_step_seconds_count") == 10
