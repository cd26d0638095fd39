"""The partner of P4: the same pipeline called as diffusers' documentation does, with no server.

``RawPipeline`` is the parent's side. The child (``python -m benchmarks.raw_pipeline``) loads once,
then answers each line of JSON on its input with one on its output, and ends when its input closes:
it cannot outlive its parent.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final

from .errors import NotMeasurable

# As the server encodes: the same work on both sides.
PNG_LEVEL: Final = 1
# How long a thread without work spins before it sleeps, as the engine sets it.
SPINNING_OF_THE_ENGINE: Final = {"GOMP_SPINCOUNT": "3000"}


class Call(StrEnum):
    """``AS_THE_ENGINE``: its spinning, inference mode and tensors out. ``AS_DOCUMENTED``: what
    diffusers' documentation shows.
    """

    AS_THE_ENGINE = "engine"
    AS_DOCUMENTED = "documented"


class RawPipeline:
    """A loaded pipeline in a child process that waits to be told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.threads = int(self._read()["threads"])

    def draw(self, prompt: str, arguments: Mapping[str, Any], picture: Path) -> float:
        """Seconds of the call and its PNG, measured in the child; the PNG goes to ``picture``
        afterwards, outside the measured time.
        """
        assert self._process.stdin is not None
        order = {"prompt": prompt, "arguments": dict(arguments), "picture": str(picture)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return float(self._read()["seconds"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NotMeasurable("the process with the raw pipeline ended; see its message above")
        found: dict[str, Any] = json.loads(line)
        return found


@contextlib.contextmanager
def raw_pipeline(folder: Path, threads: int, dtype: str, call: Call) -> Iterator[RawPipeline]:
    """Start the child, stop it at the end. As with the engine, what the user has set in the
    environment stays.
    """
    command = [
        sys.executable,
        "-m",
        "benchmarks.raw_pipeline",
        str(folder),
        str(threads),
        dtype,
        call,
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=(SPINNING_OF_THE_ENGINE if call is Call.AS_THE_ENGINE else {}) | dict(os.environ),
    )
    try:
        pipeline = RawPipeline(process)
        if pipeline.threads != threads:
            raise NotMeasurable(f"the raw pipeline has {pipeline.threads} threads, not {threads}")
        yield pipeline
    finally:
        process.kill()
        process.communicate()


def _child(
    orders: IO[str], answers: IO[str], folder: str, threads: str, dtype: str, call: str
) -> None:
    import torch
    from diffusers import DiffusionPipeline
    from diffusers.utils.logging import disable_progress_bar

    torch.set_num_threads(int(threads))
    disable_progress_bar()
    load: Any = DiffusionPipeline.from_pretrained
    pipeline = load(folder, dtype=getattr(torch, dtype))
    pipeline.set_progress_bar_config(disable=True)
    _say(answers, {"threads": torch.get_num_threads()})
    draw = DRAWINGS[Call(call)]
    for order in orders:
        wanted = json.loads(order)
        started = time.perf_counter()
        data = draw(pipeline, wanted["prompt"], wanted["arguments"])
        seconds = time.perf_counter() - started
        Path(wanted["picture"]).write_bytes(data)
        _say(answers, {"seconds": seconds})


def _as_documented(pipeline: Any, prompt: str, arguments: dict[str, Any]) -> bytes:
    return _png(pipeline(prompt, generator=_generator(arguments), **arguments).images[0])


def _as_the_engine(pipeline: Any, prompt: str, arguments: dict[str, Any]) -> bytes:
    import torch
    from PIL import Image

    with torch.inference_mode():
        generator = _generator(arguments)
        images = pipeline(prompt, generator=generator, output_type="pt", **arguments).images
        scaled = (images.float() * 255).round().clamp(0, 255).to(torch.uint8)
        pixels = scaled.permute(0, 2, 3, 1).contiguous().numpy()
    return _png(Image.fromarray(pixels[0]))


DRAWINGS: Final = {Call.AS_DOCUMENTED: _as_documented, Call.AS_THE_ENGINE: _as_the_engine}


def _generator(arguments: dict[str, Any]) -> Any:
    import torch

    return torch.Generator("cpu").manual_seed(arguments.pop("seed"))


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def _say(answers: IO[str], content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


if __name__ == "__main__":
    # What the libraries print goes to the terminal, never among the answers.
    pipe, sys.stdout = sys.stdout, sys.stderr
    _child(sys.stdin, pipe, *sys.argv[1:])
