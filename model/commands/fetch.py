"""``python -m model fetch``: a model's files into a folder, for a server that loads them there."""

import argparse
import signal
import sys
from pathlib import Path

from ..errors import StartupError
from .parser import Commands

INTERRUPTED = 130


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "fetch",
        help="download a model into a folder",
        usage="python -m model fetch URI DIR [options]",
        description="Download the files that loading the model needs, checked against the source's "
        "own checksums. A run that was broken off is gone on with; where everything is there, "
        "nothing is done.",
        epilog="Credentials come from the environment: HF_TOKEN; AWS_ACCESS_KEY_ID, "
        "AWS_SECRET_ACCESS_KEY and their kin; GOOGLE_APPLICATION_CREDENTIALS_JSON. Exit status: 0 "
        "everything is there, 2 wrong address or folder, 4 no such model, none that can be loaded, "
        "or no right to it, 9 the source cannot be reached, 10 no room or no right to write, 11 "
        "what arrives is not what the source lists, 130 told to stop. Next: python -m model serve "
        "--model DIR.",
    )
    parser.add_argument(
        "uri",
        metavar="URI",
        help="hf://ORGANISATION/NAME[@REVISION], s3://BUCKET/PATH, gs://BUCKET/PATH, "
        "file:///FOLDER or embedded://",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="where to; made if it is missing")
    parser.add_argument(
        "--at-once",
        type=_several,
        default=4,
        metavar="N",
        help="files that are downloaded at the same time. Default: 4.",
    )
    parser.add_argument(
        "--log-format",
        choices=("auto", "console", "json"),
        default="auto",
        help="auto: json, unless the log goes to a terminal.",
    )
    parser.add_argument(
        "--termination-message-path",
        type=Path,
        default=Path("/dev/termination-log"),
        metavar="FILE",
        help="where the reason of a failure is written, for 'kubectl describe pod'.",
    )
    parser.set_defaults(run=run, parser=parser)


def run(given: argparse.Namespace) -> int:
    """Fetch; the exit status."""
    from ..serving.termination import write_termination_message

    # A pod that is deleted is told so by SIGTERM; what has come so far is kept either way.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _fetch(given)
    except StartupError as error:
        write_termination_message(given.termination_message_path, str(error))
        raise
    except KeyboardInterrupt:
        print("kiln: told to stop; the next run goes on from here", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _fetch(given: argparse.Namespace) -> None:
    from ..embedded import PIPELINE_FOLDER
    from ..sources.address import parse
    from ..sources.fetching import fetch
    from ..sources.opening import open_source
    from ..telemetry.logs import configure_logs, get_logger

    address = parse(given.uri)
    configure_logs("info", given.log_format)
    source = open_source(address, PIPELINE_FOLDER)
    done = fetch(source, address, given.folder.absolute(), given.at_once)
    get_logger(__name__).info(
        "fetched" if done.files else "nothing_to_fetch",
        source=address.text,
        folder=str(given.folder),
        revision=done.revision,
        files=done.files,
        bytes=done.bytes,
    )


def _several(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number, 1 to 64")
    return int(text)
