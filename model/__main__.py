"""The command line: ``python -m model serve`` and its neighbours. Heavy imports stay inside the
commands, so that ``--help`` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence

from . import __version__
from .commands import client, doctor, embedded, fetch, generate, plan, serve, warmup
from .commands.parser import Parser
from .commands.settings import settings_of
from .errors import StartupError

EPILOG = """Try it:
  python -m model generate "a red fox"           draw a picture into a file
  python -m model serve                          serve the embedded model
  curl -i localhost:8080/v2/health/ready         503 while it warms up, then 200
  python -m model client "a red fox"             ask it for a picture, and see it here
  python -m model serve --help                   every setting
  python -m model plan                           what would be warmed up
  python -m model warmup --report                what a running server has warmed up
  python -m model doctor                         what may keep a server from starting
  python -m model fetch hf://ORG/NAME DIR        download a model into a folder
  python -m model embedded --list                what the embedded model can draw"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    given, unknown = _parser().parse_known_args(arguments)
    if unknown:
        given.parser.refuse(unknown)
    try:
        # Every command that has settings can show them.
        if getattr(given, "print_config", False):
            print(settings_of(given).table())
            return 0
        return int(given.run(given))
    except StartupError as error:
        print(f"kiln: {error}", file=sys.stderr)
        return error.exit_code


def _parser() -> Parser:
    parser = Parser(
        prog="python -m model",
        description="Kiln serves diffusion models, and says Ready only when it is warm.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kiln {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, parser_class=Parser)
    for each in (generate, serve, client, plan, warmup, doctor, fetch, embedded):
        each.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
