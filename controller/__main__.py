"""The command line: ``python -m controller`` runs the operator; its neighbours need no cluster.
Heavy imports stay inside the commands, so that ``--help`` answers at once.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from . import __version__
from .errors import ControllerError
from .settings import add_flags, from_flags, own_namespace, seconds_text

DEFAULT_IMAGE: Final = f"kiln/model:{__version__}"
COMMANDS: Final = ("run", "render", "validate", "try")
STATUSES: Final = (
    "Exit status: 0 done, 1 another failure, 2 wrong flags or a file that cannot be read, "
    "3 a DiffusionService that would be refused."
)
EPILOG: Final = f"""Try it:
  python -m controller                              run the operator (the same as run)
  python -m controller validate -f service.yaml     what the API server would say
  python -m controller render -f service.yaml       what would be applied
  python -m controller try                          whether an installation works

{STATUSES}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words = ["run", *words]
    given = _parser().parse_args(words)
    try:
        return int(given.run(given))
    except ControllerError as error:
        print(f"kiln: {error}", file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m controller",
        description="Kiln's operator: it turns DiffusionServices into the objects that serve them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kiln {__version__}")
    commands = parser.add_subparsers(title="commands", required=True)
    _add_run(commands)
    validate = _offline(commands, "validate", "check DiffusionServices as the API server would")
    validate.set_defaults(run=_validate)
    render = _offline(commands, "render", "print what would be applied for DiffusionServices")
    render.add_argument(
        "--backend",
        choices=("KServe", "Deployment"),
        default="Deployment",
        help="what spec.backend: Auto stands for. Default: Deployment.",
    )
    render.add_argument(
        "--image",
        default=DEFAULT_IMAGE,
        help=f"image of the model server, where a spec names none. Default: {DEFAULT_IMAGE}.",
    )
    render.set_defaults(run=_render)
    _add_try(commands)
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser(
        "run",
        help="run the operator; the default",
        description="Run the operator until it is told to stop.",
        epilog="Exit status: 0 stopped by a signal, 1 another failure, 2 wrong flags or no "
        "cluster, 4 the lease was lost.",
        allow_abbrev=False,
    )
    add_flags(run, DEFAULT_IMAGE)
    run.set_defaults(run=_run)


def _add_try(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    trial = commands.add_parser(
        "try",
        help="apply a service, have it draw a picture, remove it",
        description="See whether an installation works: apply a DiffusionService, wait until it is "
        "Ready, have it draw one picture, and remove it. Run it where the service's address "
        "works: in the cluster.",
        epilog="Exit status: 0 there was a picture, 1 there was none, 2 wrong flags or no cluster, "
        "3 a spec that would be refused.",
        allow_abbrev=False,
    )
    trial.add_argument(
        "-n",
        "--namespace",
        default=own_namespace(),
        help="where the service is made. Default: the pod's own, or default.",
    )
    trial.add_argument(
        "--spec",
        default="{}",
        metavar="JSON",
        help="of the service. Default: {}, which serves the embedded model.",
    )
    trial.add_argument(
        "--timeout",
        type=seconds_text,
        default=900.0,
        metavar="SECONDS",
        help="until it must be Ready. Default: 900.",
    )
    trial.add_argument("--kubeconfig", metavar="FILE", help="file with the cluster's address.")
    trial.set_defaults(run=_try)


def _offline(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}. Needs no cluster. Other objects in the "
        "files are left out.",
        epilog=STATUSES,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        required=True,
        metavar="FILE",
        help="YAML or JSON; - for standard input; may be given several times",
    )
    parser.add_argument(
        "-n", "--namespace", default="default", help="of objects that name none. Default: default."
    )
    return parser


def _validate(given: argparse.Namespace) -> int:
    from .offline import validate_files

    return validate_files(given.filename, given.namespace)


def _render(given: argparse.Namespace) -> int:
    from .desired.plan import Target
    from .offline import render_files

    try:
        status = render_files(given.filename, given.namespace, Target(given.backend), given.image)
        sys.stdout.flush()
    except BrokenPipeError:  # head or less has seen enough
        # What is left in the buffer would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return status


def _try(given: argparse.Namespace) -> int:
    import asyncio

    from .trial import Trial

    trial = Trial(given.namespace, given.spec, given.timeout, given.kubeconfig)
    return asyncio.run(trial.run())


def _run(given: argparse.Namespace) -> int:
    import asyncio

    from .operator import operate

    return asyncio.run(operate(from_flags(given)))


if __name__ == "__main__":
    sys.exit(main())
