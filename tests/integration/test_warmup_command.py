"""``python -m model warmup``: a whole warmup without a server."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.support.server import wait_until

SECONDS = 180.0


def start(*flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "model", "warmup", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


@pytest.mark.parametrize(
    ("flags", "status", "proof", "state"),
    [
        ((), 0, "steady", "ready"),
        (("--warmup-request-timeout", "0.001"), 5, "failed: pass 1 took longer than", "failed"),
    ],
    ids=["proven", "failed"],
)
def test_the_warmup_alone_prints_its_report_and_ends_with_its_outcome(
    tmp_path: Path, flags: tuple[str, ...], status: int, proof: str, state: str
) -> None:
    file = tmp_path / "report.json"
    running = start("--warmup-resolutions", "64x64", "--warmup-report-path", str(file), *flags)
    printed, errors = running.communicate(timeout=SECONDS)
    assert running.returncode == status, errors
    assert "text-to-image 64x64 batch 1 cfg" in printed
    assert proof in printed
    assert ("kiln: warmup of text-to-image 64x64" in errors) == (status == 5)
    written: dict[str, Any] = json.loads(file.read_text())
    assert (written["state"], written["warmup"]["done"]) == (state, 1)


def test_told_to_stop_it_ends_and_leaves_nothing(tmp_path: Path) -> None:
    running = start("--warmup-report-path", str(tmp_path / "report.json"))
    process = psutil.Process(running.pid)
    children = wait_until(process.children, "the engine's process is there")
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=SECONDS)
    assert running.returncode == 130, errors
    assert "told to stop" in errors
    assert "Traceback" not in errors
    assert not psutil.wait_procs(children, timeout=30)[1]
