"""The story that the demo tells, in order."""

import re
import signal
import statistics
import sys
import time
from pathlib import Path

from .child import Server, ServerEnded
from .client import Refused, draw, metadata
from .report import print_next_commands, print_observation, print_proof, print_timeline
from .watch import BrokenPromise, NeverReady, check_promise, watch

FOLDER = Path("out")
SEED = 7
STEADY_REQUESTS = 5


def main(arguments: list[str]) -> int:
    """Run the demo; return the exit status."""
    if len(arguments) != 1 or not arguments[0].strip():
        print('demo: give one prompt, as in: make demo PROMPT="a panda on a blue background"')
        return 2
    # A plain kill must stop the server as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Server() as server:
            _tell(server, arguments[0])
    except KeyboardInterrupt:
        print("\nInterrupted. The server is stopped.")
        return 130
    except (ServerEnded, NeverReady, BrokenPromise, Refused, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def _tell(server: Server, prompt: str) -> None:
    started = time.monotonic()
    print("Starting: python -m model serve")
    observation = watch(server.http_port, started, server.check_alive)
    print_observation(observation)
    described = metadata(server.http_port)
    check_promise(described)
    print_proof(observation, described)
    picture, first = _timed(server, prompt, SEED)
    path = _save(prompt, picture)
    steady = [_timed(server, prompt, SEED + 1 + n)[1] for n in range(STEADY_REQUESTS)]
    status = server.stop()
    if status != 0:
        raise ServerEnded(f"the server did not stop in order: exit status {status}")
    print_timeline(described["timeline"], first, statistics.median(steady))
    print(f'\nDrew "{prompt}" with seed {SEED}: {path}')
    print_next_commands(prompt)


def _timed(server: Server, prompt: str, seed: int) -> tuple[bytes, float]:
    server.check_alive()
    before = time.perf_counter()
    picture = draw(server.http_port, prompt, seed)
    return picture, time.perf_counter() - before


def _save(prompt: str, picture: bytes) -> Path:
    FOLDER.mkdir(exist_ok=True)
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")
    path = FOLDER / f"{words[:80] or 'picture'}.png"
    path.write_bytes(picture)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
