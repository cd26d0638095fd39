"""``python -m model client``: ask a server for a picture, and see it where you type."""

import argparse
from typing import Final

from .drawn import add_show, save, show, tell, tell_next
from .generate import add_wait, by_server
from .parser import Commands
from .server import HERE
from .wishes import add_wish, repeated, wish_of

DESCRIPTION: Final = (
    "Ask a server for a picture, and show it in the terminal: by kitty's, iTerm's or sixel's "
    "graphics, or in coloured blocks. With --output, it is written to a file as well."
)


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "client",
        help="ask a server for a picture, and show it in the terminal",
        usage='python -m model client "PROMPT" [--url URL] [-o FILE] [--seed N] [--size WxH]',
        description=DESCRIPTION,
        epilog="Exit status: 0, 1 nobody answers, or the request was refused or failed, 2 wrong "
        "arguments. A server: python -m model serve.",
    )
    add_wish(parser)
    parser.add_argument(
        "--url", metavar="URL", default=HERE, help=f"of the server. Default: {HERE}."
    )
    add_wait(parser)
    add_show(parser)
    parser.set_defaults(run=run, parser=parser)


def run(given: argparse.Namespace) -> int:
    """Ask, show, write; the exit status."""
    wish = wish_of(given)
    drawn, seconds = by_server(given.url, wish, given.wait)
    paths = save(drawn, wish) if wish.output else []
    show(drawn, given.show)
    tell(drawn, paths, seconds)
    besides = [] if given.url == HERE else ["--url", given.url]
    tell_next("client", wish, drawn, [*repeated(given), *besides])
    return 0
