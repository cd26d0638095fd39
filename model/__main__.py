"""The command line: ``python -m model serve`` and its neighbours. Heavy imports stay inside the
commands, so that ``--help`` answers at once.
"""

import argparse
import difflib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import __version__
from .configuration.flags import add_flags
from .configuration.resolve import resolve
from .contract.roles import Role
from .errors import InvalidSettings, StartupError

EPILOG = """Try it:
  python -m model serve                          serve the embedded model
  curl -i localhost:8080/v2/health/ready         503 while it warms up, then 200
  python -m model serve --help                   every setting
  python -m model embedded --list                what the embedded model can draw"""


class Parser(argparse.ArgumentParser):
    """Refuses abbreviations, and suggests the flag that was probably meant."""

    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End with the arguments that nobody knows, and the flags that were probably meant."""
        known = [each for action in self._actions for each in action.option_strings]
        near = [difflib.get_close_matches(each.partition("=")[0], known, n=1) for each in unknown]
        hint = " ".join(f"did you mean {each[0]}?" for each in near if each)
        self.error(f"unknown arguments: {' '.join(unknown)}; {hint or 'see --help'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    given, unknown = _parser().parse_known_args(arguments)
    if unknown:
        given.parser.refuse(unknown)
    try:
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
    serve = commands.add_parser(
        "serve",
        help="start a server",
        usage="python -m model serve [--model MODEL] [settings]",
        description="Start a server: REST and gRPC, Ready once its warmup is proven.",
        epilog="Exit status: 0 stopped on request, 2 wrong settings, 3 port in use, 4 model does "
        "not load, 5 warmup failed, 6 engine died, 7 engine hung, 8 start took too long.",
    )
    add_flags(serve)
    serve.set_defaults(run=_serve, parser=serve)
    embedded = commands.add_parser(
        "embedded",
        help="what the embedded model can draw",
        description="List what the embedded model can draw.",
    )
    embedded.add_argument("--list", action="store_true", help="print every object by category")
    embedded.add_argument(
        "--search", default="", metavar="TEXT", help="only objects with this text in their name"
    )
    embedded.set_defaults(run=_embedded, parser=embedded)
    return parser


def _serve(given: argparse.Namespace) -> int:
    # Until the server has its own handlers, told to stop means that nothing has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    resolved = resolve(given, os.environ)
    for each in resolved.warnings:
        print(f"kiln: warning: {each}", file=sys.stderr)
    if given.print_config:
        print(resolved.table())
        return 0
    if resolved.settings.role is not Role.MONOLITHIC:
        raise InvalidSettings(
            f"role ({resolved.sources['role']}): {resolved.settings.role} cannot be served yet; "
            f"only {Role.MONOLITHIC} can"
        )
    from .serving.server import serve

    return serve(resolved)


def _embedded(given: argparse.Namespace) -> int:
    from .embedded import list_objects, print_catalogue

    if given.list or given.search:
        print_catalogue(given.search)
        return 0
    categories = [(name, len(members)) for name, members in list_objects()]
    total = sum(count for _, count in categories)
    print(f"The embedded model draws {total} objects:")
    for name, count in categories:
        print(f"  {name} ({count})")
    print("Next: python -m model embedded --list, or --search TEXT")
    return 0


if __name__ == "__main__":
    sys.exit(main())
