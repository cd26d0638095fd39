"""``python -m model generate`` and ``client``: real pictures, by a model that is loaded for one and
by servers, into files and into terminals.
"""

import base64
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.integration.support.console import KITTY, PLAIN, ROOT, at_terminal
from tests.integration.support.requests import INFER, body, opened, pictures, pixels, png
from tests.integration.support.server import ServerProcess, free_ports, wait_until

PROMPT = "a red apple on a white background"
WISH = (PROMPT, "--seed", "7", "--steps", "2")
SECONDS = 180.0


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "model", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def reference(server: ServerProcess) -> bytes:
    (found,) = pictures(server.client.post(INFER, json=body(PROMPT)))
    return found


def test_generate_draws_what_a_server_draws_and_shows_how_far_it_is(
    tmp_path: Path, reference: bytes
) -> None:
    """And no port, no warmup, no log."""
    ended = at_terminal(
        ["-m", "model", "generate", *WISH], PLAIN, folder=tmp_path, errors_too=True, columns=200
    )
    assert ended.status == 0, ended.output
    file = tmp_path / "a-red-apple-on-a-white-background.png"
    assert np.array_equal(pixels(file.read_bytes()), pixels(reference))
    assert "seed: 7, steps: 2" in opened(file.read_bytes()).text["parameters"]  # type: ignore[attr-defined]
    for words in ("loading embedded", "step 1 of 2", "▀", f"{file.name}  128x128, 2 steps, seed 7"):
        assert words in ended.output
    assert "warming" not in ended.output.lower()
    again = re.search(r"python -m model (generate .*--seed 7)", ended.output)
    assert again
    assert ended.settings[0] == ended.settings[1]


def test_generate_lets_a_server_draw(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(png())
    wish = (*WISH, "--size", "64x96", "-n", "2", "--image", "in.png", "--set", "strength=0.9")
    done = run(tmp_path, "generate", *wish, "--url", server.base_url, "-o", "fox.webp")
    assert done.returncode == 0, done.stderr
    for number in (1, 2):
        picture = opened((tmp_path / f"fox-{number}.webp").read_bytes())
        assert (picture.format, picture.size) == ("WEBP", (64, 96))
    assert "fox-2.webp  64x96, 2 steps, seed 8" in done.stdout
    typed = "--size 64x96 --steps 2 --image in.png --set strength=0.9"
    assert f"'{PROMPT}' {typed} --url {server.base_url} --seed 7\n" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_client_shows_the_picture_in_the_terminal(
    server: ServerProcess, tmp_path: Path, reference: bytes
) -> None:
    command = ["-m", "model", "client", *WISH, "--url", server.base_url]
    ended = at_terminal(command, KITTY, folder=tmp_path)
    assert ended.status == 0, ended.errors
    data = "".join(re.findall(r"\x1b_G(?:f=100|m=)[^;]*;([^\x1b]*)\x1b", ended.output))
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert np.array_equal(shown, pixels(reference))
    assert not list(tmp_path.iterdir())


def test_client_writes_a_file_and_no_picture_where_there_is_no_terminal(
    server: ServerProcess, tmp_path: Path, reference: bytes
) -> None:
    done = run(tmp_path, "client", *WISH, "--url", f"{server.base_url}/", "-o", "apple.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "apple.png").read_bytes() == reference
    assert "\x1b" not in done.stdout
    assert "apple.png  128x128, 2 steps, seed 7" in done.stdout


def test_client_waits_until_a_server_is_ready(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    starting = start_server("--warmup-resolutions", "64x64").wait_live()
    command = ["-m", "model", "client", *WISH, "--url", starting.base_url]
    early = run(tmp_path, *command[2:], "--wait", "0")
    assert early.returncode == 1
    assert re.search(
        r"kiln: http://\S+ is not Ready: the server is (loading|warming)", early.stderr
    )
    ended = at_terminal(command, PLAIN, folder=tmp_path, errors_too=True, columns=120)
    assert ended.status == 0, ended.output
    assert "the server is " in ended.output
    assert "▀" in ended.output


class Other(HTTPServer):
    """Answers every GET with what ``answers`` has for its path. ``asked``: for a path with none."""

    def __init__(self, **answers: bytes) -> None:
        super().__init__(("127.0.0.1", 0), OtherHandler)
        self.answers = answers
        self.asked = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class OtherHandler(BaseHTTPRequestHandler):
    server: Other

    def do_GET(self) -> None:
        body = self.server.answers.get(self.path.rpartition("/")[2])
        self.send_response(200 if body else 503)
        self.end_headers()
        self.wfile.write(body or b'{"error": "the server is warming"}')
        if not body:
            self.server.asked.set()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextlib.contextmanager
def listening(**answers: bytes) -> Iterator[Other]:
    with Other(**answers) as other:
        threading.Thread(target=other.serve_forever).start()
        yield other
        other.shutdown()


@pytest.fixture
def somebody_else() -> Iterator[str]:
    with listening(models=b'{"models": []}') as other:
        yield other.url


def test_what_goes_wrong_is_told_in_one_line(
    server: ServerProcess, somebody_else: str, tmp_path: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    for status, words, arguments in (
        (1, "start a server: python -m model serve", ["client", "a fox", "--url", nobody]),
        (1, "is no server of Kiln's", ["client", "a fox", "--url", somebody_else]),
        (1, "--url: 'localhost' is no address", ["client", "a fox", "--url", "localhost"]),
        (1, "width: must be a multiple of", ["client", "a fox", "--size", "129x128"]),
        (1, "sede: is not a parameter", ["client", "a fox", "--set", "sede=1"]),
        (2, "--queue-size: is a setting of a server", ["generate", "a", "--queue-size", "3"]),
        (2, "--size: 'big' is no size", ["generate", "a fox", "--size", "big"]),
    ):
        url = [] if "--url" in arguments else ["--url", server.base_url]
        done = run(tmp_path, *arguments, *url)
        assert (done.returncode, done.stdout) == (status, ""), (arguments, done.stderr)
        assert words in done.stderr
        assert done.stderr.startswith("kiln: ")
        assert done.stderr.count("\n") == 1


def test_an_interrupted_client_ends_without_a_word_too_many() -> None:
    with listening(models=b'{"models": ["fox"]}') as never_ready:
        running = subprocess.Popen(
            [sys.executable, "-m", "model", "client", PROMPT, "--url", never_ready.url],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            # A job in the background, as a test run may be, ignores interrupts, and so would this.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert never_ready.asked.wait(SECONDS)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=SECONDS)
    assert (running.returncode, errors) == (130, "kiln: told to stop before it was drawn\n")


def test_told_to_stop_generate_ends_and_leaves_nothing(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "model", "generate", PROMPT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = wait_until(psutil.Process(running.pid).children, "the engine's process is there")
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=SECONDS)
    assert (running.returncode, "told to stop" in errors) == (130, True), errors
    assert "Traceback" not in errors
    assert not psutil.wait_procs(children, timeout=30)[1]
    assert not list(tmp_path.iterdir())
