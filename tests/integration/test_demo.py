"""The README's first command draws a picture, and leaves nothing behind."""

import functools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PNG = b"\x89PNG\r\n\x1a\n"
SECONDS = 240
# W35: nobody listens there, and nothing of ours may go there.
DEAD_PROXIES = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
    **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
}


def start(folder: Path, prompt: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "demo", prompt],
        cwd=folder,
        env={
            **os.environ,
            **DEAD_PROXIES,
            "PYTHONPATH": str(REPOSITORY),
            "TMPDIR": str(folder),
        },
        # A job in the background, as a test run may be, ignores interrupts, and so would its child.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def servers_of(folder: Path) -> list[int]:
    """The servers that this demo started: their command names a file in its temporary folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(int(process.name))
    return found


def test_w35_demo_proves_ready_after_warm_and_draws_past_any_proxy(tmp_path: Path) -> None:
    demo = start(tmp_path, "a fox on a yellow background")
    output, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 0, output
    assert (tmp_path / "out/a-fox-on-a-yellow-background.png").read_bytes().startswith(PNG)
    assert re.search(r"200 +503 +warming\n.* 200 +200 +ready\n", output), output
    for row in ("live", "loaded", "warm", "ready", "first request", "steady", "first/steady"):
        assert f"\n  {row} " in output
    assert not servers_of(tmp_path)


def test_demo_stops_its_server_when_interrupted(tmp_path: Path) -> None:
    demo = start(tmp_path, "a fox")
    deadline = time.monotonic() + 60
    while not servers_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert servers_of(tmp_path)
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, output
    assert not servers_of(tmp_path)
