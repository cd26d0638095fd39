"""``python -m model serve``."""

import argparse
import signal
import sys

from ..configuration.flags import add_flags
from .parser import Commands
from .settings import settings_of


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve",
        help="start a server",
        usage="python -m model serve [--model MODEL] [settings]",
        description="Start a server: REST and gRPC, Ready once its warmup is proven.",
        epilog="Exit status: 0 stopped on request, 2 wrong settings, 3 port in use, 4 model does "
        "not load, 5 warmup failed, 6 engine died, 7 engine hung, 8 start took too long.",
    )
    add_flags(parser)
    parser.set_defaults(run=run, parser=parser)


def run(given: argparse.Namespace) -> int:
    """Serve until told to stop; the exit status."""
    # Until the server has its own handlers, told to stop means that nothing has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    resolved = settings_of(given)
    from ..serving.server import serve

    return serve(resolved)
