"""``python -m model serve``."""

import argparse
import signal
import sys
from typing import Final

from ..configuration.flags import add_flags
from ..errors import InvalidSettings
from .parser import Commands
from .settings import settings_of

# No role of a server: one of each, and a router.
WHOLE: Final = "all"


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
    parser.add_argument(
        "--replicas",
        metavar="ROLE=COUNT,...",
        help="With --role=all, which starts a whole chain on this machine, for people to try it: "
        "how many of each role, such as denoiser=2. Default: one each, and a router.",
    )
    parser.set_defaults(run=run, parser=parser)


def run(given: argparse.Namespace) -> int:
    """Serve until told to stop; the exit status."""
    # Until the server has its own handlers, told to stop means that nothing has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if getattr(given, "role", None) == WHOLE:
        from .chain import serve_chain

        return serve_chain(given)
    if given.replicas is not None:
        raise InvalidSettings(f"replicas: only --role {WHOLE} starts several; leave it out")
    resolved = settings_of(given)
    from ..serving.server import serve

    return serve(resolved)
