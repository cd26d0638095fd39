"""The command line: ``python -m benchmarks``."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from .effort import FULL, QUICK
from .runner import FOLDER, run
from .scenarios import SCENARIOS
from .show import console

EPILOG = """examples:
  python -m benchmarks --list                    what is measured, against whom, with which goal
  python -m benchmarks --quick                   does everything run? its numbers are for nobody
  python -m benchmarks --scenario P4             one scenario
  python -m benchmarks --scenario P1 P14 --json out/today.json

Exit status: 0 measured (goals met or missed), 1 something could not be measured, 2 wrong arguments.
Measure on a quiet machine; the report tells how busy others kept it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments name; return the exit status."""
    given = _parser().parse_args(arguments)
    to = console()
    if given.list:
        _list(to)
        return 0
    # Ending by a signal ends the servers as well: the exception unwinds through their stop.
    signal.signal(signal.SIGTERM, _end)
    errors = Console(stderr=True)
    with errors.status("starting") as status:
        tell = status.update if errors.is_terminal else lambda text: errors.print(text, style="dim")
        names = list(dict.fromkeys(given.scenario or SCENARIOS))
        return run(names, quick=given.quick, file=given.json, to=to, tell=tell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the promises of Kiln on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--scenario",
        nargs="+",
        action="extend",
        choices=list(SCENARIOS),
        metavar="ID",
        help=f"what to measure: {', '.join(SCENARIOS)}; all of them by default",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK.starts} start instead of {FULL.starts}, {QUICK.rounds} rounds instead of "
        f"{FULL.rounds}, {QUICK.pictures} steady pictures instead of {FULL.pictures}",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"write all results into this file; by default each into {FOLDER}/ID-TIME.json",
    )
    parser.add_argument(
        "--list", action="store_true", help="describe every scenario, and measure nothing"
    )
    return parser


def _list(to: Console) -> None:
    for name, scenario in SCENARIOS.items():
        to.print(f"{name}: {scenario.text.strip()}\n", markup=False)


def _end(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
