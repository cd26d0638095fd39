"""The command line: ``python -m benchmarks``."""

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console

from .effort import FULL, QUICK, Effort
from .runner import FOLDER, run
from .scenarios import SCENARIOS
from .show import console
from .subject import COMPILE, MODES, Size, Subject

EMBEDDED_MODEL: Final = Subject()
# P3 takes minutes on a CPU, and means nothing without a compiler.
DEFAULT: Final = ("P1", "P4", "P14")

EPILOG = """examples:
  python -m benchmarks --list                    what is measured, against whom, with which goal
  python -m benchmarks --quick                   does everything run? its numbers are for nobody
  python -m benchmarks --scenario P4             one scenario
  python -m benchmarks --scenario P1 P14 --json out/today.json
  python -m benchmarks --scenario P1 P3 --compile off regional full
  python -m benchmarks --scenario P1 --model PATH --sizes 1024x1024 --undeclared 896x1152

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
        names = list(dict.fromkeys(given.scenario or DEFAULT))
        return run(names, _subject(given), _effort(given), file=given.json, to=to, tell=tell)


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
        help=f"what to measure: {', '.join(SCENARIOS)}; by default {', '.join(DEFAULT)}",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK.starts} start instead of {FULL.starts}, {QUICK.rounds} rounds instead of "
        f"{FULL.rounds}, {QUICK.pictures} steady pictures instead of {FULL.pictures}",
    )
    parser.add_argument(
        "--starts", type=int, metavar="N", help="fresh servers for each thing that needs one"
    )
    parser.add_argument("--pictures", type=int, metavar="N", help="steady pictures after a start")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"write all results into this file; by default each into {FOLDER}/ID-TIME.json",
    )
    parser.add_argument(
        "--list", action="store_true", help="describe every scenario, and measure nothing"
    )
    model = parser.add_argument_group("the model", "for P1 and P3; the embedded one by default")
    model.add_argument(
        "--model", default=EMBEDDED_MODEL.model, help="as `python -m model serve` has it"
    )
    model.add_argument(
        "--compile",
        nargs="+",
        choices=COMPILE,
        default=list(EMBEDDED_MODEL.compile),
        help="modes to measure in turns",
    )
    model.add_argument(
        "--modes",
        nargs="+",
        choices=MODES,
        default=list(EMBEDDED_MODEL.modes),
        help="of the warmup, to measure in turns",
    )
    model.add_argument(
        "--sizes",
        nargs="+",
        type=Size.parse,
        default=list(EMBEDDED_MODEL.sizes),
        metavar="WxH",
        help=f"declared warm; by default {EMBEDDED_MODEL.declared}",
    )
    model.add_argument(
        "--undeclared",
        type=Size.parse,
        default=EMBEDDED_MODEL.undeclared,
        metavar="WxH",
        help=f"one that is not; by default {EMBEDDED_MODEL.undeclared}",
    )
    model.add_argument(
        "--steps",
        type=int,
        default=EMBEDDED_MODEL.steps,
        metavar="N",
        help=f"of each request; by default {EMBEDDED_MODEL.steps}",
    )
    model.add_argument(
        "--cfg-parallel", action="store_true", help="P1 only: draw each picture by two devices"
    )
    model.add_argument(
        "--output-format",
        choices=("png", "jpeg"),
        default=EMBEDDED_MODEL.output_format,
        help="of each request; a large PNG costs a tenth of a second and more, on the CPU",
    )
    return parser


def _effort(given: argparse.Namespace) -> Effort:
    effort = QUICK if given.quick else FULL
    return replace(
        effort,
        starts=given.starts or effort.starts,
        pictures=given.pictures or effort.pictures,
    )


def _subject(given: argparse.Namespace) -> Subject:
    return Subject(
        model=given.model,
        sizes=tuple(given.sizes),
        undeclared=given.undeclared,
        steps=given.steps,
        output_format=given.output_format,
        compile=tuple(given.compile),
        modes=tuple(given.modes),
        cfg_parallel=given.cfg_parallel,
    )


def _list(to: Console) -> None:
    for name, scenario in SCENARIOS.items():
        to.print(f"{name}: {scenario.text.strip()}\n", markup=False)


def _end(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
