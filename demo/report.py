"""What the demo prints. Plain text, so that it reads the same in a log."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from .client import MODEL, Answer
from .watch import Observation


def print_observation(observation: Observation) -> None:
    """What the endpoints answered over time."""
    print("\nWhat a prober saw")
    rows = [
        (f"{each.seconds:.2f} s", _status(each.live), _status(each.ready), each.state or "-")
        for each in observation.changes
    ]
    _print_table(("from", "/v2/health/live", "/v2/health/ready", "state"), rows)
    if observation.refused is not None:
        print(_early(observation.refused))


def print_proof(observation: Observation, metadata: Mapping[str, Any]) -> None:
    """What the server proved before it said Ready."""
    print("\nWhat the warmup proved")
    shapes = [
        (
            each["shape"],
            "  ".join(f"{seconds:.2f} s" for seconds in each["passes"]),
            f"{each['first_over_steady']:.2f}",
        )
        for each in metadata["warmup"]["shapes"]
    ]
    _print_table(("shape", "passes, until two agree", "first/last"), shapes)
    print(
        f"Ready was refused {observation.asked} times. When it was first granted, the server's "
        "metadata already held every proof."
    )


def print_timeline(timeline: Mapping[str, float], first: float, steady: float) -> None:
    """Seconds since the start, and what the first user paid compared with later ones."""
    print("\nTimeline")
    rows = [
        ("live", f"{timeline['live']:.2f} s", "the ports answer"),
        ("loaded", f"{timeline['loaded']:.2f} s", "the pipeline is in memory"),
        ("warm", f"{timeline['warm']:.2f} s", "every planned shape is proven"),
        ("ready", f"{timeline['ready']:.2f} s", "requests are let in"),
        ("first request", f"{first:.2f} s", "took your prompt"),
        ("steady", f"{steady:.2f} s", "took a later one (median)"),
        ("first/steady", f"{first / steady:.2f}", "1 means: the first user waits no longer"),
    ]
    _print_table(("", "", ""), rows)


def print_next_commands(prompt: str) -> None:
    """Commands that work when pasted, in order."""
    python = ".venv/bin/python"
    print(f"""
Try next
  make demo PROMPT="a small purple balloon on a cyan background"
  {python} -m model embedded                     what the model can draw
  {python} -m model generate {shlex.quote(prompt)} -o picture.png
  {python} -m model serve                        a server on ports 8080 and 8081
  curl -i localhost:8080/v2/health/ready
  curl -s localhost:8080/v2/models/{MODEL} | {python} -m json.tool
  {python} -m model client {shlex.quote(prompt)}
  make test""")


def _early(refused: Answer) -> str:
    return (
        f"A request sent while it warmed: {refused.status}, "
        f"Retry-After {refused.headers.get('retry-after', '(missing)')}, "
        f'"{refused.body.get("error", "")}"'
    )


def _status(status: int) -> str:
    return str(status) if status else "nobody listens"


def _print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    lines = [header, *rows] if any(header) else rows
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  " + "   ".join(cells).rstrip())
