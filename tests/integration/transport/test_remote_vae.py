"""diffusers' own client, a real VAE, and the route between them."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import uvicorn
from diffusers import AutoencoderKL
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils.remote_utils import remote_decode
from PIL import Image
from prometheus_client import CollectorRegistry

from model.contract.state import State
from model.contract.warmup import WarmupMode
from model.engine.stage_tensors import from_bytes, to_bytes
from model.errors import OutOfMemory
from model.media.encode import EncodePool
from model.roles.server_state import ServerState
from model.serving.app import create_app
from model.serving.context import Serving
from model.serving.openai.videos import jobs_of
from model.serving.remote_vae_rest import build_router
from model.settings import Settings
from model.telemetry.metrics import Metrics
from model.transport.calling import Security
from model.transport.protocol import OnStep, StageRequest, StageResult
from model.warmup.report import WarmupReport

SCALING, SHIFT = 0.18215, 0.1


class Vae:
    """The stage as an engine does it, on a VAE with random weights."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = AutoencoderKL(
            block_out_channels=(8, 16), norm_num_groups=4, layers_per_block=1, latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ).eval()  # fmt: skip
        self.error: Exception | None = None

    async def run(self, request: StageRequest, on_step: OnStep) -> StageResult:
        if self.error is not None:
            raise self.error
        facts: Any = request.payload.header.facts["remote_vae"]
        latents = from_bytes(request.payload.data)["latents"]
        return StageResult(
            await asyncio.to_thread(lambda: to_bytes({"decoded": self.decode(latents, facts)})), {}
        )

    def decode(self, latents: torch.Tensor, facts: dict[str, Any]) -> torch.Tensor:
        with torch.inference_mode():
            latents = latents.float()
            if facts["own_scaling"]:
                latents = latents / self.model.config.scaling_factor
            if facts["scaling_factor"]:
                latents = latents / facts["scaling_factor"]
            if facts["shift_factor"]:
                latents = latents + facts["shift_factor"]
            return self.model.decode(latents).sample


class Served:
    def __init__(self, security: Security) -> None:
        self.vae = Vae()
        self.state = ServerState()
        role: Any = type("Role", (), {"report": WarmupReport(WarmupMode.OFF, "default")})()
        metrics = Metrics(CollectorRegistry())
        serving = Serving(Settings(), self.state, role, metrics, EncodePool(1))
        self.metrics = metrics
        app = create_app(serving, jobs_of(serving))
        app.include_router(build_router(serving, self.vae, security))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/decode"

    def __enter__(self) -> "Served":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served(Security()) as running:
        for state in (State.LOADING, State.READY):
            running.state.enter(state)
        yield running


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def expected(served: Served, latents: torch.Tensor, **facts: Any) -> torch.Tensor:
    given = {"own_scaling": False, "scaling_factor": None, "shift_factor": None, **facts}
    return served.vae.decode(latents, given)


def as_bytes(decoded: torch.Tensor) -> np.ndarray[Any, Any]:
    return np.asarray(VaeImageProcessor().postprocess(decoded, output_type="pil")[0])


def test_a_png_is_what_diffusers_itself_would_have_drawn(
    served: Served, latents: torch.Tensor
) -> None:
    found = remote_decode(
        served.endpoint, latents, scaling_factor=SCALING, shift_factor=SHIFT, image_format="png"
    )
    assert isinstance(found, Image.Image)
    wanted = expected(served, latents, scaling_factor=SCALING, shift_factor=SHIFT)
    assert np.array_equal(np.asarray(found), as_bytes(wanted))
    assert found.format == "png"


def test_a_jpeg(served: Served, latents: torch.Tensor) -> None:
    found = remote_decode(served.endpoint, latents, scaling_factor=SCALING)
    assert (found.format, found.size) == ("jpeg", (16, 16))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_a_tensor_as_the_vae_gave_it(
    served: Served, latents: torch.Tensor, dtype: torch.dtype
) -> None:
    given = latents.to(dtype)
    found = remote_decode(
        served.endpoint, given, scaling_factor=SCALING, output_type="pt", return_type="pt"
    )
    assert torch.equal(found, expected(served, given, scaling_factor=SCALING))


def test_a_tensor_that_the_caller_makes_a_picture_of(served: Served, latents: torch.Tensor) -> None:
    wanted = as_bytes(expected(served, latents, scaling_factor=SCALING))
    options: dict[str, Any] = {"scaling_factor": SCALING, "output_type": "pt"}
    processed = remote_decode(
        served.endpoint, latents, processor=VaeImageProcessor(), return_type="pil", **options
    )
    partial = remote_decode(
        served.endpoint, latents, partial_postprocess=True, return_type="pil", **options
    )
    assert np.array_equal(np.asarray(processed), wanted)
    assert np.array_equal(np.asarray(partial), wanted)


def test_fractions_for_a_caller_with_a_processor(served: Served, latents: torch.Tensor) -> None:
    (found,) = remote_decode(
        served.endpoint, latents, processor=VaeImageProcessor(), scaling_factor=SCALING
    )
    assert np.array_equal(
        np.asarray(found), as_bytes(expected(served, latents, scaling_factor=SCALING))
    )


def test_several_at_once_come_as_a_tensor(served: Served, latents: torch.Tensor) -> None:
    pair = torch.cat([latents, -latents])
    found = remote_decode(
        served.endpoint, pair, scaling_factor=SCALING, output_type="pt", partial_postprocess=True
    )
    assert [each.size for each in found] == [(16, 16)] * 2
    with pytest.raises(RuntimeError, match="output_type: pil is one picture, and these are 2"):
        remote_decode(served.endpoint, pair, scaling_factor=SCALING)


@pytest.mark.filterwarnings("ignore:.*do_scaling.*:FutureWarning")
def test_the_models_own_scaling(served: Served, latents: torch.Tensor) -> None:
    found = remote_decode(served.endpoint, latents, output_type="pt", return_type="pt")
    assert torch.equal(found, expected(served, latents, own_scaling=True))
    bare = remote_decode(
        served.endpoint, latents, do_scaling=False, output_type="pt", return_type="pt"
    )
    assert torch.equal(bare, expected(served, latents))


def test_errors_are_json_that_the_client_shows(served: Served, latents: torch.Tensor) -> None:
    with pytest.raises(RuntimeError, match="dtype: must be one of float16"):
        remote_decode(served.endpoint, latents.double(), scaling_factor=SCALING)
    with pytest.raises(RuntimeError, match="scaling_factor: latents are divided by it"):
        remote_decode(served.endpoint, latents, scaling_factor=0.0)
    served.vae.error = OutOfMemory("no room for 16x16")
    try:
        with pytest.raises(RuntimeError, match="no room for 16x16"):
            remote_decode(served.endpoint, latents, scaling_factor=SCALING)
    finally:
        served.vae.error = None
    text = httpx.get(served.endpoint.replace("/decode", "/metrics"), trust_env=False).status_code
    assert text == 200


def test_w32_before_ready_and_with_a_token(latents: torch.Tensor, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("fox")
    with Served(Security.read(token, None)) as served:
        with_token = served.endpoint.replace("//", "//kiln:fox@")
        with pytest.raises(RuntimeError, match="the server is starting"):
            remote_decode(with_token, latents, scaling_factor=SCALING)
        for state in (State.LOADING, State.READY):
            served.state.enter(state)
        assert remote_decode(with_token, latents, scaling_factor=SCALING).size == (16, 16)
        for wrong in (served.endpoint, with_token.replace("fox", "fix")):
            with pytest.raises(RuntimeError, match="authorization"):
                remote_decode(wrong, latents, scaling_factor=SCALING)
        bearer = httpx.post(
            served.endpoint, headers={"Authorization": "Bearer fox"}, trust_env=False
        )
        assert bearer.status_code == 400, "let in, and asked for its parameters"
