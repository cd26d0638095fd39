"""Servers for integration tests: one that all protocol tests share, and others on demand."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from model.embedded import PIPELINE_FOLDER
from tests.integration.support.server import ServerProcess

# --warmup-steps up to this many are run in full (W12), so a test chooses how long warming lasts.
SLOW_STEPS = 400


@pytest.fixture(scope="session", autouse=True)
def _no_proxy() -> Iterator[None]:
    """Clients reach the loopback directly, whatever this machine's environment says."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The embedded model, Ready; shared by all tests that leave it as it was."""
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        yield running.wait_ready()
        assert running.terminate() == 0, running.log_tail()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts a server with the given flags, and ends it with the test. It is not waited for."""
    with contextlib.ExitStack() as stack:
        count = 0

        def start(*flags: str, **options: Any) -> ServerProcess:
            nonlocal count
            count += 1
            folder = tmp_path / f"server-{count}"
            return stack.enter_context(ServerProcess(folder, *flags, **options))

        yield start


@pytest.fixture
def pipeline_copy(tmp_path: Path) -> Path:
    """A copy of the embedded pipeline's folder, to be broken."""
    return Path(shutil.copytree(PIPELINE_FOLDER, tmp_path / "copy"))


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with so many default steps that ``--warmup-steps N`` is taken in full up
    to ``SLOW_STEPS``: one pass of 100 steps takes some 5 s on two CPU cores."""
    folder = Path(shutil.copytree(PIPELINE_FOLDER, tmp_path_factory.mktemp("slow") / "slow"))
    path = folder / "generation_config.json"
    settings = {**json.loads(path.read_text()), "num_inference_steps": SLOW_STEPS}
    path.write_text(json.dumps(settings))
    return folder
