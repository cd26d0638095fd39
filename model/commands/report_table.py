"""A warmup report for people: the tables of the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_report(found: dict[str, Any], console: Console | None = None) -> None:
    """Print what ``GET /v2/models/NAME``, or a report file, says of the warmup."""
    console = console or Console()
    warmup = found["warmup"]
    _print_model(found, console)
    if warmup["shapes"]:
        console.print(_shapes(warmup["shapes"], several=warmup["engines"] > 1))
    else:
        console.print(f"No shape was warmed up: mode {warmup['mode']} ({warmup['reason']}).")
    if found["timeline"]:
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["timeline"].items())
        console.print(f"Since the process started: {times}.")
    done = f"{warmup['done']} of {warmup['of']} shapes in {warmup['seconds']:.1f} s"
    console.print(f"State {found['state']}: {done}.")
    for what in ("degraded", "failure"):
        if reason := found[what] or warmup.get(what):
            console.print(f"[bold]{what}[/bold]: {reason}", highlight=False)


def _print_model(found: dict[str, Any], console: Console) -> None:
    pipeline, defaults = found["pipeline"], found["defaults"]
    if pipeline is None:
        console.print(f"{found['name']}: not loaded")
        return
    family = pipeline["family"] if pipeline["registered"] else "unknown: served by its signature"
    console.print(
        f"{found['name']}: {pipeline['class']} (family {family}) on {pipeline['device']}, "
        f"{pipeline['dtype']}"
    )
    sources = ", ".join(
        f"{name} {defaults[name]!r} from {source}" for name, source in defaults["sources"].items()
    )
    console.print(f"Defaults: {sources}.", highlight=False)


def _shapes(shapes: list[dict[str, Any]], *, several: bool) -> Table:
    table = Table(box=None)
    if several:
        table.add_column("engine")
    table.add_column("shape", no_wrap=True)
    for heading in ("steps", "passes (s)", "compiles", "first / steady", "proof"):
        table.add_column(heading, overflow="fold")
    for each in shapes:
        real = each["real_passes"]
        passes = " ".join(f"{seconds:.2f}" for seconds in each["passes"])
        ratio = each["first_over_steady"]
        table.add_row(
            *([str(each["engine"])] if several else []),
            each["shape"],
            str(each["steps"]),
            f"{passes} + {' '.join(f'{seconds:.2f}' for seconds in real)}" if real else passes,
            " ".join(str(count) for count in (*each["compiles"], *each["real_compiles"])),
            "" if ratio is None else f"{ratio:.2f}",
            proof(each),
        )
    return table


def proof(shape: dict[str, Any]) -> str:
    """In a word or two, what the passes have proven."""
    if not shape["proven"]:
        return f"failed: {shape['failure']}"
    settled = "steady" if shape["settled"] else "not steady after all passes"
    return f"{settled}, in place of {shape['asked']}" if shape["degraded"] else settled
