"""``python -m model warmup``: run the plan once and print the report, or print that of a server."""

import argparse
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from ..configuration.flags import add_flags
from ..contract.roles import Role
from ..contract.warmup import WarmupMode
from ..errors import InvalidSettings
from .parser import Commands
from .settings import check_role, settings_of

HERE: Final = "http://localhost:8080"
SECONDS: Final = 10.0
INTERRUPTED: Final = 130


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "warmup",
        help="warm up once and print the report; or print a server's",
        usage="python -m model warmup [--model MODEL] [settings]\n"
        "       python -m model warmup --report [URL|FILE]",
        description="Load the model, run the whole warmup plan, print the report, and end. No port "
        "opens. Where the server compiles, this fills the folder of compiled code.",
        epilog="Exit status: 0 every shape is proven, 2 wrong settings, 4 model does not load, 5 "
        "warmup failed, 130 told to stop. Next: python -m model serve, with the same settings.",
    )
    parser.add_argument(
        "--report",
        nargs="?",
        const=HERE,
        metavar="URL|FILE",
        help=f"print the report of a running server (without a URL, {HERE}), or of the file that "
        "--warmup-report-path wrote, and load nothing",
    )
    add_flags(parser)
    parser.set_defaults(run=run, parser=parser)


def run(given: argparse.Namespace) -> int:
    """Warm up, or fetch a report; print it; the exit status."""
    if given.report is not None:
        found = read_report(given.report)
        _show(found)
        return 0
    resolved = settings_of(given)
    check_role(resolved, frozenset({Role.MONOLITHIC}))
    if resolved.settings.warmup_mode is not WarmupMode.SERVER:
        raise InvalidSettings(
            f"warmup_mode ({resolved.sources['warmup_mode']}): there is nothing to run with "
            f"{resolved.settings.warmup_mode}; set it to server"
        )
    from asyncio import CancelledError

    from ..serving.warm_once import warm_once
    from ..telemetry.logs import configure_logs

    configure_logs(resolved.settings.log_level, resolved.settings.log_format)
    try:
        found, failure = warm_once(resolved)
    except (KeyboardInterrupt, CancelledError):
        print("kiln: told to stop before the warmup had ended", file=sys.stderr)
        return INTERRUPTED
    _show(found)
    if failure is None:
        return 0
    print(f"kiln: {failure}", file=sys.stderr)
    return failure.exit_code


def read_report(source: str) -> dict[str, Any]:
    """The report at a server's address, or in a file.

    Raises:
        InvalidSettings: there is none.
    """
    try:
        found = _fetched(source.rstrip("/")) if "://" in source else _loaded(Path(source))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InvalidSettings(
            f"report: {source!r} has none: {error}; give the address of a server's HTTP port, or "
            "the file that --warmup-report-path named"
        ) from error
    if "warmup" not in found:
        raise InvalidSettings(f"report: {source!r} is no warmup report")
    return found


def _loaded(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    return dict(found)


def _fetched(base: str) -> dict[str, Any]:
    if not base.startswith(("http://", "https://")):
        raise ValueError("an address starts with http:// or https://")
    # W35: a proxy named in the environment is for the world outside, not for our own servers.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(path: str) -> Any:
        with direct.open(f"{base}{path}", timeout=SECONDS) as answer:
            return json.load(answer)

    name = get("/v2/models")["models"][0]
    return dict(get(f"/v2/models/{name}"))


def _show(found: dict[str, Any]) -> None:
    from .report_table import print_report

    print_report(found)
