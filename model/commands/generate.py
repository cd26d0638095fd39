"""``python -m model generate``: one picture into a file, by a model that is loaded for it, or by a
server.
"""

import argparse
import sys
import time
from dataclasses import replace
from typing import Final, NoReturn

from ..configuration.flags import add_flags
from ..configuration.names import FIELDS
from ..configuration.resolve import Resolved
from ..contract.roles import Role
from ..contract.warmup import WarmupMode
from ..errors import InvalidSettings, RequestError
from .bar import shown
from .drawn import Drawn, add_show, save, show, tell, tell_next
from .parser import Commands
from .server import HERE, NotDrawn, Server
from .settings import check_role, settings_of
from .wishes import Wish, add_wish, repeated, wish_of

INTERRUPTED: Final = 130
# What holds for one picture, where nobody says otherwise.
FOR_ONE: Final = {"warmup_mode": WarmupMode.OFF, "log_level": "warning"}
WAIT_SECONDS: Final = 600.0


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "generate",
        help="draw a picture into a file",
        usage='python -m model generate "PROMPT" [-o FILE] [--seed N] [--size WxH] [settings]\n'
        '       python -m model generate "PROMPT" [-o FILE] --url URL',
        description="Load the model, draw, and end; or let a server draw that runs already. "
        "Without --output, the file is called after the prompt.",
        epilog="The settings are those of serve, but for --warmup-mode and --log-level, which are "
        "off and warning where nothing else is said: a single picture need not be warm. Exit "
        "status: 0, 1 the request was refused or failed, 2 wrong arguments, 4 model does not load, "
        "130 told to stop. Next: python -m model serve, with the same settings.",
    )
    add_wish(parser)
    parser.add_argument(
        "--url",
        metavar="URL",
        help=f"of a server that draws it, such as {HERE}; then no model is loaded here",
    )
    add_wait(parser)
    add_show(parser)
    add_flags(parser)
    parser.set_defaults(run=run, parser=parser)


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add the flag."""
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for a server that is not Ready. Default: {WAIT_SECONDS:g}.",
    )


def run(given: argparse.Namespace) -> int:
    """Draw, write, show; the exit status."""
    wish = wish_of(given)
    if given.url is None:
        resolved = _for_one(settings_of(given))
        check_role(resolved, frozenset({Role.MONOLITHIC}))
        drawn, seconds = _by_ourselves(resolved, wish)
        told = [name for name in (*FIELDS, "config") if getattr(given, name, None) is not None]
        besides = [
            part
            for name in told
            for part in (f"--{name.replace('_', '-')}", str(getattr(given, name)))
        ]
    else:
        _refuse_settings(given)
        drawn, seconds = by_server(given.url, wish, given.wait)
        besides = ["--url", given.url]
    paths = save(drawn, wish)
    show(drawn, given.show)
    tell(drawn, paths, seconds)
    tell_next("generate", wish, drawn, [*repeated(given), *besides])
    return 0


def by_server(url: str, wish: Wish, wait: float) -> tuple[Drawn, float]:
    """What it drew, and the seconds that it took once Ready.

    Raises:
        NotDrawn: it did not.
    """
    try:
        with shown() as bar:
            server = Server(url)
            server.wait_ready(wait, bar.say)
            bar.say("drawing")
            started = time.monotonic()
            return server.draw(wish), time.monotonic() - started
    except KeyboardInterrupt:
        _end()


def _by_ourselves(resolved: Resolved, wish: Wish) -> tuple[Drawn, float]:
    from asyncio import CancelledError

    from ..pipelines.requests import Ask
    from ..serving.draw_once import draw_once
    from ..telemetry.logs import configure_logs

    configure_logs(resolved.settings.log_level, resolved.settings.log_format)
    negatives = None if wish.negative_prompt is None else (wish.negative_prompt,)
    ask = Ask((wish.prompt,), negatives, parameters=wish.parameters)
    started = 0.0

    def loaded() -> None:
        nonlocal started
        started = time.monotonic()
        bar.say("drawing")

    try:
        with shown() as bar:
            bar.say(f"loading {resolved.settings.served_name}")
            drawn, chosen = draw_once(
                resolved, ask, wish.image, wish.output_format, loaded, bar.step
            )
    except RequestError as error:
        raise NotDrawn(str(error)) from error
    except (KeyboardInterrupt, CancelledError):
        _end()
    return Drawn(drawn.files or [], chosen, drawn.facts), time.monotonic() - started


def _end() -> NoReturn:
    print("kiln: told to stop before it was drawn", file=sys.stderr)
    raise SystemExit(INTERRUPTED)


def _for_one(resolved: Resolved) -> Resolved:
    """With what holds for one picture, where the defaults of a server would."""
    changed = {name: each for name, each in FOR_ONE.items() if resolved.sources[name] == "default"}
    return replace(resolved, settings=resolved.settings.model_copy(update=changed))


def _refuse_settings(given: argparse.Namespace) -> None:
    told = [name for name in FIELDS if hasattr(given, name)]
    if told:
        raise InvalidSettings(
            f"--{told[0].replace('_', '-')}: is a setting of a server, and that of --url has its "
            "own; leave one of them out"
        )
